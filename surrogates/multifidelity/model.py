"""A coarse model plus its learned discrepancy, as a forward model on xi; and the cheapest coarse
model, the fine one's linearization about a point: no solves, microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import WhitenedModel, xi_space
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    Linearization,
    LinearModel,
    ModelKind,
    Rows,
    RowsLinearization,
)
from pdeinv.model.rows import evaluate, linearize, linearize_rows
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..common.split import Index
from ..common.storage import under, within
from .chained import ChainedRows, chained, sound
from .discrepancy import Discrepancy

__all__ = ["MultifidelityModel", "Selected", "TangentPlane"]


@dataclass(frozen=True)
class MultifidelityModel:
    """xi ↦ c(xi) + D(xi, c(xi)), a forward model on xi.

    Attributes:
        coarse: the coarse model on xi.
        discrepancy: D.
        kind: counted as surrogate evaluations.
    """

    coarse: ForwardModel
    discrepancy: Discrepancy
    kind: ModelKind = "surrogate"

    @property
    def m_space(self) -> Space:
        """The space of xi."""
        return self.coarse.m_space

    @property
    def d_space(self) -> Space:
        """The coarse model's data space."""
        return self.coarse.d_space

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """Batches, and the coarse model's derivatives and rows."""
        return self.coarse.capabilities | {Capability.BATCH}

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_d) of (..., dim); in a batch, a failed coarse solve gives NaN.

        Raises:
            SolverDiverged: the coarse solve at a single point failed.
        """
        if np.ndim(xi) == 1:
            coarse = self.coarse(xi)
        else:
            rows = evaluate(self.coarse, xi.reshape(-1, xi.shape[-1])).values
            coarse = rows.reshape(*xi.shape[:-1], -1)
        return np.asarray(coarse + self.discrepancy(xi, coarse))

    def linearize(self, xi: Array) -> Linearization:
        """Chain rule through the coarse model and D."""
        coarse = self.coarse.linearize(xi)
        return chained(coarse, self.discrepancy.linearize(xi, coarse.value))

    def rows(self, xis: Array) -> Rows[Array]:
        """Data (n, n_d) of (n, dim); where the coarse model takes rows."""
        found = evaluate(self.coarse, xis)
        values, good = found.values.copy(), sound(len(xis), found.failures)
        values[good] += self.discrepancy.rows(xis[good], values[good])
        return Rows(values, found.failures)

    def linearize_rows(self, xis: Array) -> RowsLinearization:
        """Chain rule through the coarse model and D at each row of (n, dim)."""
        coarse = linearize_rows(self.coarse, xis)
        return ChainedRows.at(coarse, self.discrepancy, xis).linearization()


@dataclass(frozen=True)
class Selected:
    """Some of a model's data.

    Attributes:
        model: predicts all data that it was trained on.
        chosen: the rows that are wanted.
    """

    model: MultifidelityModel
    chosen: Index

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the whole model's."""
        return self.model.capabilities

    def __call__(self, xi: Array) -> Array:
        """The chosen data of (..., dim)."""
        return self.model(xi)[..., self.chosen]

    def linearize(self, xi: Array) -> Linearization:
        """The same with its derivative at one point."""
        return self._chosen(self.model.linearize(xi))

    def rows(self, xis: Array) -> Rows[Array]:
        """The chosen data of (n, dim)."""
        found = self.model.rows(xis)
        return Rows(found.values[:, self.chosen], found.failures)

    def linearize_rows(self, xis: Array) -> RowsLinearization:
        """The same with its derivative at each row."""
        found = self.model.linearize_rows(xis)
        return RowsLinearization(
            found.values[:, self.chosen],
            found.failures,
            lambda vs: found.jvp(vs)[:, self.chosen],
            lambda ws: found.vjp(np.array([self._full(w) for w in ws])),
            lambda i: self._chosen(found.at(i)),
        )

    def _full(self, w: Array) -> Array:
        full = np.zeros(self.model.d_space.size)
        np.add.at(full, self.chosen, w)
        return full

    def _chosen(self, inner: Linearization) -> Linearization:
        return Linearization(
            inner.value[self.chosen],
            lambda v: inner.jvp(v)[self.chosen],
            lambda w: inner.vjp(self._full(w)),
        )


@dataclass(frozen=True)
class TangentPlane:
    """G(a) + J (xi - a).

    Attributes:
        point: a, shape (dim,).
        value: G(a), shape (n_obs,).
        jacobian: J, shape (n_obs, dim).
    """

    point: Array
    value: Array
    jacobian: Array

    @classmethod
    def at(cls, model: WhitenedModel, point: Array) -> TangentPlane:
        """By adjoint actions or directional derivatives, whichever are fewer.

        Raises:
            CapabilityError: the model has no derivative.
            SolverDiverged: it fails at the point.
        """
        n, dim = model.d_space.size, len(point)
        has_jvp, has_vjp = (c in model.capabilities for c in (Capability.JVP, Capability.VJP))
        if not (has_jvp or has_vjp):
            raise CapabilityError(
                'coarse = "linear" needs derivatives, which this unknown does not have; use '
                'coarse = "level"'
            )
        at = linearize(model, point)
        if has_vjp and (n <= dim or not has_jvp):
            jacobian = np.stack([at.vjp(e) for e in np.eye(n)])
        else:
            jacobian = np.stack([at.jvp(e) for e in np.eye(dim)], axis=1)
        return cls(point, at.value, jacobian)

    def model(self, d_space: Space) -> LinearModel:
        """The plane as a forward model on xi."""
        offset = self.value - self.jacobian @ self.point
        return LinearModel(xi_space(len(self.point)), d_space, self.jacobian, offset, "surrogate")

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return under("plane_", vars(self))

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any]) -> TangentPlane | None:
        """The inverse of :meth:`arrays`; None where there is none."""
        own = within("plane_", a)
        return cls(**own) if own else None
