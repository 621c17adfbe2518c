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

from pdeinv.model.forward import ForwardModel
from pdeinv.model.rows import linearize
from pdeinv.typing import Array

__all__ = ["Tangent"]


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
