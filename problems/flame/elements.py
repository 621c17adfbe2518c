"""Quadratic elements on an interval as dense arrays by cell, and banded matrices.

Space, places of degrees of freedom and quadrature are those of dolfinx. Nodes are numbered along x,
so that cell k has the nodes 2k, 2k + 1, 2k + 2 and matrices have two bands on each side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.domain import CellMesh
from pdeinv.fem.nodal import NodalSpace
from pdeinv.typing import Array

__all__ = ["BANDS", "DEGREE", "Elements", "interval"]

BANDS = 2
"""Bands on each side of the diagonal."""

DEGREE = 8
"""Polynomials that the quadrature integrates exactly; the rate is none, and steep."""


def interval(places: Array) -> CellMesh:
    """Cells between increasing places (k,)."""
    numbers = np.arange(len(places), dtype=np.int64)
    ends = np.array([[0], [len(places) - 1]], dtype=np.int64)
    return CellMesh(
        places[:, None],
        np.stack([numbers[:-1], numbers[1:]], axis=1),
        "interval",
        ends,
        np.array([1, 2], dtype=np.int64),
        {"left": 1, "right": 2},
    )


class Elements:
    """Continuous quadratic functions on cells between increasing places (k,).

    Attributes:
        x: the nodes, increasing, shape (n,).
        weights: of the quadrature, with the length of cells, shape (cells, points).
        values: of the basis at those points, shape (cells, points, 3).
        slopes: its derivatives, likewise.
    """

    def __init__(self, places: Array) -> None:
        mesh = interval(places)
        middles = 0.5 * (places[1:] + places[:-1])
        self.x = np.sort(np.concatenate([places, middles]))
        self.space = NodalSpace(mesh, "P2", interval(self.x))
        self._node = self.space.node_of_dof
        rule = self.space.rule(DEGREE)
        shape = (len(places) - 1, -1)
        columns = rule.values.indices.reshape(*shape, 3)[:, 0]
        nodes = self._node[columns]
        cells = np.argsort(nodes.min(axis=1))
        order = np.argsort(nodes, axis=1)[cells]
        self.weights = rule.weights.reshape(shape)[cells]
        self.values = _sorted(rule.values.data, cells, order)
        self.slopes = _sorted(rule.slopes[0].data, cells, order)

    @property
    def size(self) -> int:
        """The number of nodes."""
        return len(self.x)

    def at_points(self, basis: Array, u: Array) -> Array:
        """A function of nodal values, or its slope, at the quadrature points (cells, points)."""
        local = np.stack([u[:-2:2], u[1::2], u[2::2]], axis=1)
        return np.asarray(np.matmul(basis, local[:, :, None])[:, :, 0])

    def load(self, basis: Array, f: Array) -> Array:
        """∫ f v, or ∫ f v′, for f at the points, (n,)."""
        local = np.matmul((self.weights * f)[:, None, :], basis)[:, 0]
        found = np.zeros(self.size)
        for a in range(3):
            found[a : self.size - 2 + a : 2] += local[:, a]
        return found

    def banded(self, rows: Array, f: Array, columns: Array) -> Array:
        """∫ a_i f b_j of two bases, as the bands (5, n) of LAPACK: A_ij in row 2 + i − j."""
        weighted = rows * (self.weights * f)[:, :, None]
        local = np.matmul(weighted.swapaxes(1, 2), columns)
        found = np.zeros((2 * BANDS + 1, self.size))
        for i in range(3):
            for j in range(3):
                found[BANDS + i - j, j : self.size - 2 + j : 2] += local[:, i, j]
        return found

    def evaluation(self, places: Array) -> NDArray[np.float64]:
        """B with (B u)_k = u(x_k), a sparse matrix (k, n).

        Raises:
            DataSchemaError: a place lies outside.
        """
        found = self.space.evaluation(places[:, None])
        dofs = np.empty(self.size, dtype=np.int64)
        dofs[self._node] = np.arange(self.size)
        return found[:, dofs].tocsr()  # type: ignore[no-any-return]


def _sorted(data: Array, cells: NDArray[np.int64], order: NDArray[np.int64]) -> Array:
    """Entries (cells, points, 3) with cells and their nodes along x."""
    table = np.asarray(data).reshape(len(cells), -1, 3)[cells]
    return np.take_along_axis(table, order[:, None, :], axis=2)
