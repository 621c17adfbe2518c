"""What the derivative of one model at one point can do for a cheaper model of the same data.

A coarse model shifted and tilted until it agrees with the fine one at a point, in value and first
derivative, errs by second-order terms alone near that point (first-order model management:
Alexandrov, Lewis, Gumbert, Green, Newman 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    Linearization,
    ModelKind,
    Rows,
    RowsLinearization,
    each_product,
)
from pdeinv.model.rows import evaluate, linearize, linearize_rows
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["Corrected", "Tangent"]


@dataclass(frozen=True)
class Tangent:
    """x ↦ G(a) + G'(a) V V^T (x - a).

    Attributes:
        point: a, shape (dim,).
        value: G(a), shape (n_d,).
        directions: V with orthonormal columns, shape (dim, r).
        images: G'(a) V, shape (n_d, r).
    """

    point: Array
    value: Array
    directions: Array
    images: Array

    @classmethod
    def along(
        cls, directions: Array, point: Array, value: Array, jvp: Callable[[Array], Array]
    ) -> Self:
        """From a linearization at ``point``; r directional derivatives."""
        return cls(point, value, directions, np.stack([jvp(v) for v in directions.T], axis=1))

    def less(self, model: ForwardModel) -> Tangent:
        """The same of the difference G - ``model``.

        Raises:
            SolverDiverged: ``model`` or its derivative fails at the point.
        """
        at = linearize(model, self.point)
        other = Tangent.along(self.directions, self.point, at.value, at.jvp)
        return Tangent(
            self.point, self.value - other.value, self.directions, self.images - other.images
        )

    def __call__(self, x: Array) -> Array:
        """The value at (..., dim)."""
        return np.asarray(self.value + ((x - self.point) @ self.directions) @ self.images.T)

    def jvp(self, dx: Array) -> Array:
        """G'(a) V V^T dx."""
        return np.asarray(self.images @ (self.directions.T @ dx))

    def vjp(self, w: Array) -> Array:
        """Its transpose."""
        return np.asarray(self.directions @ (self.images.T @ w))

    def rows(self, xs: Array) -> Array:
        """The value at each row of (n, dim), by products of one row at a time."""
        return np.asarray(self.value + self.jvp_rows(xs - self.point))

    def jvp_rows(self, dxs: Array) -> Array:
        """G'(a) V V^T dx_i for each row."""
        return each_product(self.images, each_product(self.directions.T, dxs))

    def vjp_rows(self, ws: Array) -> Array:
        """Its transpose for each row."""
        return each_product(self.directions, each_product(self.images.T, ws))

    def arrays(self, prefix: str = "tangent_") -> dict[str, Array]:
        """All numbers, for storage."""
        names = ("point", "value", "directions", "images")
        return {prefix + name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any], prefix: str = "tangent_") -> Self | None:
        """The inverse of :meth:`arrays`; None where there is none."""
        if prefix + "point" not in a:
            return None
        return cls(*(a[prefix + name] for name in ("point", "value", "directions", "images")))


@dataclass(frozen=True)
class Corrected:
    """x ↦ c(x) + T(x): a cheap model with the tangent of what it lacks, a forward model.

    Attributes:
        model: c, with derivatives where those of the sum are asked for.
        difference: T, the tangent of the fine model less c (:meth:`Tangent.less`).
        kind: counted as surrogate evaluations.
    """

    model: ForwardModel
    difference: Tangent
    kind: ModelKind = "surrogate"

    @property
    def m_space(self) -> Space:
        """As the cheap model's."""
        return self.model.m_space

    @property
    def d_space(self) -> Space:
        """As the cheap model's."""
        return self.model.d_space

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the cheap model's, but for a strong form, which the sum does not have."""
        return self.model.capabilities - {Capability.STRONG_FORM, Capability.VARIANCE}

    def __call__(self, x: Array) -> Array:
        """The sum; leading axes where c takes them."""
        return np.asarray(self.model(x) + self.difference(x))

    def linearize(self, x: Array) -> Linearization:
        """Both linearized at ``x`` of shape (dim,)."""
        return self._sum(self.model.linearize(x), self.difference(x))

    def rows(self, xs: Array) -> Rows[Array]:
        """The sum at each row of (n, dim); with ROWS."""
        found = evaluate(self.model, xs)
        return Rows(found.values + self.difference.rows(xs), found.failures)

    def linearize_rows(self, xs: Array) -> RowsLinearization:
        """Both linearized at each row of (n, dim); with ROWS."""
        xs, tilt = xs.copy(), self.difference
        found = linearize_rows(self.model, xs)
        return RowsLinearization(
            found.values + tilt.rows(xs),
            found.failures,
            lambda dxs: found.jvp(dxs) + tilt.jvp_rows(dxs),
            lambda ws: found.vjp(ws) + tilt.vjp_rows(ws),
            lambda i: self._sum(found.at(i), tilt.rows(xs[i : i + 1])[0]),
        )

    def _sum(self, at: Linearization, more: Array) -> Linearization:
        tilt = self.difference
        return Linearization(
            at.value + more,
            lambda dx: at.jvp(dx) + tilt.jvp(dx),
            lambda w: at.vjp(w) + tilt.vjp(w),
        )
