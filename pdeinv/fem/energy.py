"""The energy ∫ σ ∇u·∇v of an element space as sparse and dense algebra on σ's values.

The stiffness entries are a fixed sparse map of σ at quadrature points, so that assembly is one
matrix–vector product and both derivatives of uᵀ K(σ) v are as cheap. Space, numbering of degrees of
freedom and quadrature are those of dolfinx.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.bayes.fields.spde import MeshMatrices
from pdeinv.fem.factor import Solve, factored
from pdeinv.fem.nodal import NodalSpace, Rule
from pdeinv.fem.quadrature import COEFFICIENT_DEGREE
from pdeinv.typing import Array

__all__ = ["Energy", "mesh_matrices"]

Ints = NDArray[np.int64]
Field = Any
"""A real or complex array."""


@dataclass(frozen=True)
class Energy:
    """K(σ)_ij = ∫ σ ∇φ_i·∇φ_j on a fixed pattern.

    Attributes:
        space: the elements.
        rule: the quadrature, where σ lives.
    """

    space: NodalSpace
    rule: Rule

    @classmethod
    def on(cls, space: NodalSpace) -> Energy:
        """With the least rule that keeps the order of the element."""
        return cls(space, space.rule(COEFFICIENT_DEGREE[space.element]))

    @property
    def n(self) -> int:
        """The number of degrees of freedom."""
        return self.space.size

    @cached_property
    def _local(self) -> tuple[Ints, Array]:
        """Degrees of freedom (c, f) and slopes (c, q, d, f) of the basis of every cell."""
        shape = (*self.space.dofs.shape[:1], -1, self.space.dofs.shape[1])
        dofs = self.rule.slopes[0].indices.reshape(shape)[:, 0].astype(np.int64)
        return dofs, np.stack([g.data.reshape(shape) for g in self.rule.slopes], axis=2)

    @cached_property
    def _pattern(self) -> tuple[Ints, Ints, Ints]:
        """Rows and columns of the entries, sorted, and the entry of each pair of each cell."""
        dofs = self._local[0]
        keys = (dofs[:, :, None] * self.n + dofs[:, None, :]).reshape(len(dofs), -1)
        found, where = np.unique(keys.ravel(), return_inverse=True)
        return found // self.n, found % self.n, where.reshape(keys.shape)

    @property
    def entries(self) -> int:
        """The number of stored entries of K."""
        return len(self._pattern[0])

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """Row and column of each entry."""
        return self._pattern[:2]

    @cached_property
    def lower(self) -> Ints:
        """The entries of the lower triangle among all."""
        return np.flatnonzero(self._pattern[0] >= self._pattern[1])

    @cached_property
    def assembly(self) -> Any:
        """T with K.data = T σ, CSR of shape (entries, q)."""
        _, slopes = self._local
        c, q = slopes.shape[:2]
        weights = self.rule.weights.reshape(c, q)
        pairs = np.einsum("cq,cqdi,cqdj->cqij", weights, slopes, slopes).reshape(c, q, -1)
        rows = np.repeat(self._pattern[2][:, None], q, axis=1)
        columns = np.broadcast_to(np.arange(c * q).reshape(c, q, 1), pairs.shape)
        shape = (self.entries, c * q)
        return sparse.csr_array((pairs.ravel(), (rows.ravel(), columns.ravel())), shape)

    @cached_property
    def _spread(self) -> Any:
        """Tᵀ, CSR."""
        return self.assembly.T.tocsr()

    @cached_property
    def _starts(self) -> Ints:
        return np.searchsorted(self._pattern[0], np.arange(self.n + 1))

    def data(self, sigma: Field) -> Field:
        """The entries of K(σ), linear in σ (points,)."""
        return self.assembly @ sigma

    def matrix(self, data: Field) -> Any:
        """Entries on the pattern as a symmetric CSC matrix."""
        return sparse.csc_array((data, self._pattern[1], self._starts), (self.n, self.n))

    @cached_property
    def whole(self) -> Block:
        """All of K."""
        every = np.ones(self.n, dtype=bool)
        return self.block(every, every)

    def entry_of(self, rows: Ints, columns: Ints) -> Ints:
        """The entries of pairs of degrees of freedom that share a cell."""
        keys = self._pattern[0] * self.n + self._pattern[1]
        return np.searchsorted(keys, rows * self.n + columns)

    def block(self, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Block:
        """The part of K between two sets of degrees of freedom, by masks (n,)."""
        i, j = self._pattern[:2]
        # column by column: the pattern is symmetric, so its rows serve as columns
        keep = np.flatnonzero(columns[i] & rows[j])
        number = np.cumsum(rows) - 1
        starts = np.searchsorted(i[keep], np.append(np.flatnonzero(columns), self.n))
        shape = (int(rows.sum()), int(columns.sum()))
        return Block(keep, number[j[keep]], starts, shape, self.space.points[rows])

    def gradient(self, left: Field, right: Field) -> Field:
        """d/dσ of Σ_s left_sᵀ K(σ) right_s for columns (n, s), at the points: shape (points,)."""
        rows, columns = self._pattern[:2]
        return self._spread @ np.einsum("es,es->e", left[rows], right[columns])

    def slopes(self, u: Field) -> Field:
        """∇u at the points for columns (n, s), shape (d, points, s)."""
        return np.stack([g @ u for g in self.rule.slopes])


@dataclass(frozen=True)
class Block:
    """A part of K: ``matrix(data)`` picks it out of the entries.

    Attributes:
        keep: its entries among all.
        rows: row of each.
        starts: where each column begins.
        shape: of the part.
        points: where the degrees of freedom of its rows lie.
    """

    keep: Ints
    rows: Ints
    starts: Ints
    shape: tuple[int, int]
    points: Array

    def matrix(self, data: Field) -> Any:
        """The part as CSC."""
        return sparse.csc_array((data[self.keep], self.rows, self.starts), self.shape)

    def factored(self, data: Field) -> Solve:
        """The factor of a symmetric part, as a function of right-hand sides.

        Raises:
            SolverDiverged: the matrix is singular or not finite, here or when solving.
        """
        return factored(self.matrix(data), self.points)


def mesh_matrices(energy: Energy) -> MeshMatrices:
    """Lumped mass, stiffness and boundary mass of a P1 space, in the order of the mesh's nodes."""
    space = energy.space
    node = space.node_of_dof
    order = np.argsort(node)
    ones = np.ones(len(energy.rule.weights))
    stiffness = energy.matrix(energy.data(ones))[order][:, order]
    rule = space.rule(1)
    lumped = (rule.load @ np.ones(len(rule.weights)))[order]
    boundary = sparse.csc_array((space.size, space.size))
    for side in (*space.mesh.sides, ""):
        if len(space.facets([side])[0]):
            facets = space.facet_rule(side, 2)
            boundary = boundary + facets.load @ facets.values
    return MeshMatrices(
        space.points[order], lumped, stiffness, sparse.csc_array(boundary)[order][:, order]
    )
