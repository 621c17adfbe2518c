"""Sparse matrices that take values on a rectangular grid to values at points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.typing import Array

__all__ = ["bilinear", "cell_values"]


def _bracket(nodes: Array, points: Array) -> tuple[NDArray[np.int64], Array]:
    """The interval of each point and its place in it; points outside count as on the border."""
    left = np.clip(np.searchsorted(nodes, points, side="right") - 1, 0, len(nodes) - 2)
    part = (points - nodes[left]) / (nodes[left + 1] - nodes[left])
    return left, np.clip(part, 0.0, 1.0)


def bilinear(x: Array, y: Array, points: Array) -> Any:
    """P with (P m)(p) the bilinear interpolant of node values m, row-major with x fastest.

    Args:
        x: increasing node coordinates along x, shape (nx,).
        y: increasing node coordinates along y, shape (ny,).
        points: shape (n, 2).

    Returns:
        CSR matrix of shape (n, ny nx), rows non-negative with sum one.
    """
    (i, s), (j, t) = _bracket(x, points[:, 0]), _bracket(y, points[:, 1])
    base = j * len(x) + i
    columns = np.stack([base, base + 1, base + len(x), base + len(x) + 1], axis=1)
    weights = np.stack([(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t], axis=1)
    rows = np.repeat(np.arange(len(points)), 4)
    shape = (len(points), len(x) * len(y))
    matrix = sparse.csr_array((weights.ravel(), (rows, columns.ravel())), shape)
    matrix.eliminate_zeros()
    return matrix


def cell_values(x: Array, y: Array, points: Array) -> Any:
    """P with (P m)(p) the value of the grid cell that holds p; cells are row-major, x fastest.

    Args:
        x: increasing edges of the cells along x, shape (kx + 1,).
        y: increasing edges of the cells along y, shape (ky + 1,).
        points: shape (n, 2).
    """
    i, _ = _bracket(x, points[:, 0])
    j, _ = _bracket(y, points[:, 1])
    n, shape = len(points), (len(points), (len(x) - 1) * (len(y) - 1))
    return sparse.csr_array((np.ones(n), (np.arange(n), j * (len(x) - 1) + i)), shape)
