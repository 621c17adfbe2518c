"""Waves between walls by Chebyshev collocation: exact to rounding where the medium is smooth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BarycentricInterpolator

from pdeinv.typing import Array

__all__ = ["wall_traces"]

Complex = NDArray[np.complex128]


def _nodes(n: int) -> tuple[Array, Array]:
    """Chebyshev-Lobatto nodes of [0, 1], rising, and the matrix that differentiates there."""
    x = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1))
    weight = (-1.0) ** np.arange(n)
    weight[[0, -1]] /= 2
    gap = x[:, None] - x + np.eye(n)
    d = weight / weight[:, None] / gap * (1 - np.eye(n))
    return x, d - np.diag(d.sum(axis=1))


def wall_traces(
    k: float,
    index: Callable[[Array], Array],
    degrees: Array,
    places: Array,
    n: int = 40,
) -> Complex:
    """∂u/∂n on the sides of the unit square, ∇²u + k²n u = 0 with u = exp(ik d·x) on them.

    Args:
        k: wave number.
        index: n at points (p, 2).
        degrees: directions d of the waves, shape (s,).
        places: on the sides, off the corners, shape (r, 2).
        n: nodes along each side.

    Returns:
        Shape (r, s).

    Reference: Trefethen (2000), Spectral methods in MATLAB, ch. 7 and 13.
    """
    x, d = _nodes(n)
    points = np.stack([a.ravel() for a in np.meshgrid(x, x, indexing="ij")], axis=1)
    one = np.eye(n)
    matrix = np.kron(d @ d, one) + np.kron(one, d @ d) + np.diag(k**2 * index(points))
    edge = ((points == x[0]) | (points == x[-1])).any(axis=1)
    phi = np.deg2rad(degrees)
    u = np.exp(1j * k * points @ np.stack([np.cos(phi), np.sin(phi)]))
    u[~edge] = np.linalg.solve(matrix[np.ix_(~edge, ~edge)], -matrix[np.ix_(~edge, edge)] @ u[edge])
    table = u.reshape(n, n, -1)
    return np.stack([_outward(x, d, table, place) for place in places])


def _outward(x: Array, d: Array, table: Complex, place: Array) -> Complex:
    """∂u/∂n at one place, shape (s,)."""
    axis = 0 if place[0] in (0.0, 1.0) else 1
    side = -1 if place[axis] == 1.0 else 0
    along = np.tensordot(d[side], table, axes=(0, axis)) * (1 if side else -1)
    return np.asarray(BarycentricInterpolator(x, along)(place[1 - axis]))
