"""Where points lie among triangles or tetrahedra, for points inside or just outside the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pdeinv.typing import Array

__all__ = ["Simplices", "cell_values_on", "located", "linear_on"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Simplices:
    """Intervals, triangles or tetrahedra.

    Attributes:
        points: nodes, shape (n, d).
        cells: nodes of each cell, shape (k, d + 1).
    """

    points: Array
    cells: Ints

    def holds(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (m, d) lie in a cell or on its border."""
        return np.asarray(located(self.points, self.cells, points)[2] < 1e-9)


_FIRST, _LAST = 8, 64
"""Nearest cells that are tried, and how many before a point counts as outside."""
_CHUNK = 20_000


def _barycentric(corners: Array, points: Array) -> Array:
    """Barycentric coordinates of points (n, d) in simplices (n, k, d + 1, d), shape (n, k, d+1)."""
    edges = corners[:, :, 1:] - corners[:, :, :1]
    offset = points[:, None] - corners[:, :, 0]
    inner = np.linalg.solve(np.swapaxes(edges, 2, 3), offset[..., None])[..., 0]
    return np.concatenate([1 - inner.sum(axis=2, keepdims=True), inner], axis=2)


def located(nodes: Array, cells: Ints, points: Array) -> tuple[Ints, Array, Array]:
    """The cell of each point and its barycentric coordinates there.

    A point outside gets the nearby cell that it leaves least, its coordinates clipped to that cell.

    Args:
        nodes: shape (m, d).
        cells: simplices, shape (k, d + 1).
        points: shape (n, d).

    Returns:
        Cells (n,), coordinates (n, d + 1), non-negative with sum one, and how far the point lies
        outside, as the most negative unclipped coordinate (zero inside).
    """
    tree = cKDTree(nodes[cells].mean(axis=1))
    best = np.zeros(len(points), dtype=np.int64)
    weights = np.full((len(points), cells.shape[1]), -np.inf)
    todo = np.arange(len(points))
    for count in (min(k, len(cells)) for k in (_FIRST, _LAST)):
        for part in np.array_split(todo, len(todo) // _CHUNK + 1):
            near = tree.query(points[part], k=count)[1].reshape(len(part), count)
            found = _barycentric(nodes[cells[near]], points[part])
            pick = found.min(axis=2).argmax(axis=1)
            rows = np.arange(len(part))
            best[part], weights[part] = near[rows, pick], found[rows, pick]
        todo = np.flatnonzero(weights.min(axis=1) < -1e-9)
        if len(todo) == 0:
            break
    outside = np.maximum(-weights.min(axis=1), 0.0) if len(points) else np.zeros(0)
    weights = weights.clip(0.0)
    return best, weights / weights.sum(axis=1, keepdims=True), outside


def linear_on(nodes: Array, cells: Ints, points: Array) -> Any:
    """P with (P m)(p) piecewise linear between node values m, constant along rays outside; CSR."""
    best, weights, _ = located(nodes, cells, points)
    rows = np.repeat(np.arange(len(points)), cells.shape[1])
    entries = (weights.ravel(), (rows, cells[best].ravel()))
    return sparse.csr_array(entries, (len(points), len(nodes)))


def cell_values_on(nodes: Array, cells: Ints, points: Array) -> Any:
    """P with (P m)(p) the value of the cell that holds p, or of the nearest one; CSR."""
    best = located(nodes, cells, points)[0]
    n = len(points)
    return sparse.csr_array((np.ones(n), (np.arange(n), best)), (n, len(cells)))
