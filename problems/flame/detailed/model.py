"""The forward model: rates and states of the inlet to speeds and profiles, with its derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.model.reference import ReferenceModel
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .inlet import Inlet
from .mechanism import too_cold
from .quantities import KIND, kinds_of, nodal, nodal_slopes
from .sensors import experiments
from .solver import Solver, layout_of

__all__ = ["DetailedModel", "Experiment", "Flames"]

Between = Callable[[Array, Array, Array], Array]
"""Columns (n, k) at places, of places, points and values there."""


def value_at(x: Array, grid: Array, values: Array) -> Array:
    """Columns (n, k) at places, linear between the points, constant beyond them."""
    at, part = _cell(x, grid)
    return np.asarray((1.0 - part) * values[at] + part * values[at + 1])


def slope_at(x: Array, grid: Array, values: Array) -> Array:
    """The derivative of :func:`value_at` by the place."""
    at, _ = _cell(x, grid)
    steep = np.diff(values, axis=0)[at] / np.diff(grid)[at, None]
    inside = (x >= grid[0]) & (x <= grid[-1])
    return np.where(inside[:, None], steep, 0.0)


def _cell(x: Array, grid: Array) -> tuple[NDArray[np.int64], Array]:
    """Of each place the number of its cell, and how far along it lies there, (n, 1)."""
    at = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, len(grid) - 2)
    return at, np.clip((x - grid[at]) / (grid[at + 1] - grid[at]), 0.0, 1.0)[:, None]


@dataclass(frozen=True)
class Experiment:
    """The data of one state of the inlet.

    Attributes:
        at: that state, with what is sought in the middle of its prior.
        rows: which of all data they are.
        kinds: the quantity of each, by number.
        x: the place of each, m.
    """

    at: Inlet
    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    x: Array

    @classmethod
    def of(cls, at: Inlet, rows: NDArray[np.int64], sensors: Sensors) -> Experiment:
        """The data at some rows of the sensors."""
        kinds = np.asarray(sensors[KIND])[rows].astype(np.int64)
        return cls(at, rows, kinds, np.asarray(sensors["x"], dtype=np.float64)[rows])

    @classmethod
    def all_of(cls, solver: Solver, sensors: Sensors) -> list[Experiment]:
        """Those of sensors, whose mixtures burn and whose bases are there.

        Raises:
            ConfigError: no flame at the middle of the priors.
            DataSchemaError: a mixture that does not burn.
        """
        parts = experiments(solver.config, sensors).items()
        found = [cls.of(at, rows, sensors) for at, rows in parts]
        for e in found:
            why = too_cold(solver.config, solver.gas, e.at)
            if why:
                raise DataSchemaError(why)
        for e in found:
            solver.base(e.at)
        return found


class Flames:
    """Flames of all experiments at one m.

    Args:
        solver: that solves for them.
        experiments: of the data.
        m: the unknown.
        known: states that are there already.
    """

    def __init__(
        self,
        solver: Solver,
        experiments: list[Experiment],
        m: Array,
        known: Mapping[Inlet, Array] | None = None,
    ) -> None:
        self._solver, self._experiments, self._m = solver, experiments, m.copy()
        self._layout = layout_of(solver.config, solver.gas)
        found = {} if known is None else known
        self.states = [
            found[e.at] if e.at in found else solver.state(e.at, self._m) for e in experiments
        ]

    @cached_property
    def data(self) -> Array:
        """(n_d,)."""
        return self._gathered(self._values)[:, 0]

    @property
    def _values(self) -> list[dict[str, Array]]:
        """At the points, (n, 1), by quantity, of each experiment."""
        return [
            {k: nodal(k, state, self._layout)[:, None] for k in self._names(e)}
            for e, state in zip(self._experiments, self.states, strict=True)
        ]

    @cached_property
    def slopes(self) -> Array:
        """The derivative, (n_d, n_m)."""
        tables = []
        for e, state in zip(self._experiments, self.states, strict=True):
            change = self._solver.slopes(e.at, self._m, state)
            tables.append({k: nodal_slopes(k, state, change, self._layout) for k in self._names(e)})
        found = self._gathered(tables)
        return np.hstack([found, -self._steepness]) if self._solver.unknown.shifted else found

    @property
    def _steepness(self) -> Array:
        """The derivative of the data by their place, (n_d, 1); none of speeds."""
        return self._gathered(self._values, slope_at)

    def _names(self, experiment: Experiment) -> list[str]:
        kinds = kinds_of(self._solver.config)
        return [kinds[n].name for n in np.unique(experiment.kinds)]

    def _gathered(self, tables: list[dict[str, Array]], read: Between = value_at) -> Array:
        """Values at the points, by kind, (n, k), between them along lines; (n_d, k) over scales."""
        kinds = kinds_of(self._solver.config)
        offset = self._solver.unknown.offset(self._m)
        size = sum(len(e.rows) for e in self._experiments)
        out = np.empty((size, next(iter(tables[0].values())).shape[1]))
        for e, table in zip(self._experiments, tables, strict=True):
            grid = self._solver.base(e.at).grid
            for n in np.unique(e.kinds):
                kind, own = kinds[n], np.flatnonzero(e.kinds == n)
                values = table[kind.name]
                # a speed is the velocity at the inlet
                x = e.x[own] - offset if "x" in kind.coords else np.full(len(own), -np.inf)
                out[e.rows[own]] = read(x, grid, values) / kind.scale
        return out


class DetailedModel(ReferenceModel):
    """G(m) = speeds and profiles of flames at one or several states of the inlet.

    Args:
        spaces: of m and of the data.
        parts: solvers with the weights that their data are added up with.
        sensors: what is measured.

    Raises:
        ConfigError: no flame at the middle of the priors.
        DataSchemaError: a mixture that does not burn.
    """

    def __init__(
        self, spaces: tuple[Space, Space], parts: Sequence[tuple[float, Solver]], sensors: Sensors
    ) -> None:
        super().__init__(*spaces)
        self._parts = [(w, one, Experiment.all_of(one, sensors)) for w, one in parts]

    def solved(self, m: Array) -> list[tuple[float, Flames]]:
        """The flames of ``m`` on each grid, with the weight of their data."""
        return [(weight, Flames(one, of, m)) for weight, one, of in self._parts]

    def data(self, m: Array, *, again: bool) -> Array:
        """The data of ``m``."""
        found: list[tuple[float, Flames]] = self.state(m)
        return np.asarray(sum(weight * flames.data for weight, flames in found))

    def _slopes(self, m: Array) -> Array:
        found: list[tuple[float, Flames]] = self.state(m)
        return np.asarray(sum(weight * flames.slopes for weight, flames in found))

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data."""
        return self._slopes(m) @ dm

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m)."""
        return self._slopes(m).T @ w
