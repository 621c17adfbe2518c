"""Fields on regular grids as cubic splines, whose derivatives are continuous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["SplineField", "spline_field"]

_LETTERS = "abc"


@dataclass(frozen=True)
class SplineField:
    """Values (or derivatives) at points of the cubic spline through node values m.

    Attributes:
        rows: for each axis in the order of m's array, the matrix (points, nodes) of that axis.
    """

    rows: tuple[Array, ...]

    def __call__(self, m: Array) -> Array:
        """The values at the points, shape (n,)."""
        letters = _LETTERS[: len(self.rows)]
        terms = ",".join(f"p{letter}" for letter in letters)
        grid = np.reshape(m, [r.shape[1] for r in self.rows])
        return np.asarray(np.einsum(f"{terms},{letters}->p", *self.rows, grid, optimize=True))

    def jvp(self, m: Array, dm: Array) -> Array:
        """The same of dm."""
        return self(dm)

    def vjp(self, m: Array, w: Array) -> Array:
        """The transpose on w, shape (n_m,)."""
        letters = _LETTERS[: len(self.rows)]
        terms = ",".join(f"p{letter}" for letter in letters)
        return np.ravel(np.einsum(f"{terms},p->{letters}", *self.rows, w, optimize=True))


def spline_field(axes: Sequence[Array], points: Array, along: int | None = None) -> SplineField:
    """The spline through values on a regular grid, or its derivative along one axis.

    Args:
        axes: grid coordinates along x, y, z; m runs over (z,) y, x with x fastest.
        points: shape (n, d).
        along: the axis of the derivative, or None for values.
    """
    from scipy.interpolate import make_interp_spline

    rows = []
    for i, nodes in enumerate(axes):
        spline = make_interp_spline(nodes, np.eye(len(nodes)), k=min(3, len(nodes) - 1))
        inside = np.clip(points[:, i], nodes[0], nodes[-1])
        rows.append(np.asarray(spline(inside, nu=int(i == along))))
    return SplineField(tuple(rows[::-1]))
