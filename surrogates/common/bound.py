"""A surrogate bound to a run: a forward model on xi that says when it is asked beyond its range."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np

from pdeinv.bayes.posterior import xi_space
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import (
    DERIVATIVES,
    Capability,
    Linearization,
    ModelKind,
    OffersRows,
    Rows,
    RowsLinearization,
)
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["ALL", "BoundModel", "Emulator", "OutsideTrainingRange", "RangeWatch"]

ALL = DERIVATIVES | {Capability.BATCH}


class OutsideTrainingRange(UserWarning):
    """A surrogate is evaluated where it was not trained."""


class Emulator(Protocol):
    """A differentiable map from xi to data."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it offers; with VARIANCE also a method ``variance``, with ROWS those of rows."""

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of (..., dim)."""

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at (dim,)."""


@dataclass
class RangeWatch:
    """Counts evaluations and linearizations outside the box of training points and warns once.

    A point is outside when more than a twentieth of its components (at least one) lie beyond the
    trained interval widened by a tenth of its length on both sides. The warning comes when such
    points are more than a tenth of all, counting no fewer than 1000 in all: a search for
    the best point may start far away.

    Attributes:
        low: smallest trained xi by component.
        high: largest trained xi by component.
        name: the surrogate's name.
        n_seen: points evaluated.
        n_outside: those outside.
        warned: whether the warning was given.
        paused: how many chains are on their way to a start, where nothing is counted.
    """

    low: Array
    high: Array
    name: str
    n_seen: int = 0
    n_outside: int = 0
    warned: bool = False
    paused: int = 0

    @cached_property
    def _box(self) -> tuple[Array, Array]:
        """Centre and half width of the widened box."""
        return 0.5 * (self.low + self.high), 0.6 * (self.high - self.low)

    def outside(self, xi: Array) -> Array:
        """Which rows of (n, dim) are outside."""
        centre, half = self._box
        return np.asarray((np.abs(xi - centre) > half).sum(axis=1) > xi.shape[1] // 20)

    def note(self, xi: Array) -> None:
        """Count the rows of ``xi`` and warn where they are too often outside."""
        if self.paused:
            return
        rows = np.atleast_2d(xi)
        self.n_seen += len(rows)
        self.n_outside += int(self.outside(rows).sum())
        if not self.warned and self.n_outside > 0.1 * max(self.n_seen, 1000):
            self.warned = True
            warnings.warn(
                f"surrogate '{self.name}': {self.n_outside} of {self.n_seen} evaluations lie "
                "outside its training range; train it on draws around this posterior "
                "('generate --around RESULT')",
                OutsideTrainingRange,
                stacklevel=3,
            )


@dataclass(frozen=True)
class BoundModel:
    """An emulator as a :class:`pdeinv.model.forward.ForwardModel` on xi.

    Attributes:
        emulator: the map.
        dim: the length of xi.
        d_space: the data's space.
        watch: counts evaluations outside the training range.
        capabilities: what the emulator offers.
        kind: counted as surrogate evaluations.
        report: the surrogate's metadata, for results.
    """

    emulator: Emulator
    dim: int
    d_space: Space
    watch: RangeWatch
    capabilities: frozenset[Capability] = ALL
    kind: ModelKind = "surrogate"
    report: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def m_space(self) -> Space:
        """The space of xi."""
        return xi_space(self.dim)

    @property
    def trained_range(self) -> tuple[Array, Array]:
        """The smallest and the largest ξ that it was trained at, shape (dim,) each."""
        return self.watch.low, self.watch.high

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_d) of (..., dim)."""
        xi = self.m_space.check(xi)
        self.watch.note(xi.reshape(-1, self.dim))
        return self.emulator(xi)

    def variance(self, xi: Array) -> Array:
        """Predictive variance of the data, (..., n_d) of (..., dim).

        Raises:
            CapabilityError: VARIANCE is not declared.
        """
        if Capability.VARIANCE not in self.capabilities:
            raise CapabilityError(
                f"surrogate '{self.watch.name}' knows no predictive variance; "
                "use 'gp' or 'ensemble'"
            )
        emulator: Any = self.emulator
        return np.asarray(emulator.variance(self.m_space.check(xi)))

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at ``xi`` of shape (dim,)."""
        xi = self.m_space.check(xi)
        self.watch.note(xi)
        return self.emulator.linearize(xi)

    def rows(self, xis: Array) -> Rows[Array]:
        """Data (n, n_d) of (n, dim); where the emulator takes rows."""
        xis = self.m_space.check(xis)
        self.watch.note(xis)
        return self._by_rows.rows(xis)

    def linearize_rows(self, xis: Array) -> RowsLinearization:
        """Values and derivatives at (n, dim); where the emulator takes rows."""
        xis = self.m_space.check(xis)
        self.watch.note(xis)
        return self._by_rows.linearize_rows(xis)

    @property
    def _by_rows(self) -> OffersRows:
        return cast(OffersRows, self.emulator)
