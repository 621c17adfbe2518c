"""A(m) u = b on the degrees of freedom that are not prescribed, A symmetric and linear in m.

With entries A(m) = T m and prescribed values g, the rest solves A_ff u = b_f − A_fd g. One
factor serves state, tangents and adjoints.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.compiled import CompiledSystem, cholesky_of, pays
from pdeinv.fem.linear import FilledSystem, Method
from pdeinv.fem.pairs import pair_products
from pdeinv.fem.tensor import SparseTensor
from pdeinv.typing import Array

__all__ = ["ReducedSystem"]


class ReducedSystem:
    """The equation for the free degrees of freedom.

    Args:
        tensor: of the whole symmetric matrix.
        load: b, shape (n,).
        values: g at the prescribed degrees of freedom, shape (n,); the rest is ignored.
        fixed: which ones are prescribed.
        points: where the degrees of freedom lie, (n, dim).
        method: linear solver; compiled kernels, or PETSc by size, where None.

    Attributes:
        free: the degrees of freedom that are solved for.
        values: g, zero where u is free.
        load: b_f.
        lower: the tensor of the lower triangle of A_ff.
        lift: L with A_fd(m) g = L m, CSR; None where g is zero.
        linear: what solves.
    """

    def __init__(
        self,
        tensor: SparseTensor,
        load: Array,
        values: Array,
        fixed: NDArray[np.int32],
        points: Array,
        method: Method | None = None,
    ) -> None:
        held = np.zeros(len(load), dtype=bool)
        held[fixed] = True
        self.free = np.flatnonzero(~held)
        self.values = np.where(held, values, 0.0)
        new = np.cumsum(~held) - 1
        rows, columns = tensor.rows, tensor.columns
        inside = ~held[rows] & ~held[columns]
        self.lower = tensor.part(inside & (rows >= columns), new)
        self.load = load[self.free]
        self.lift = self._lifted(tensor, ~held[rows] & held[columns], new)
        self._off = self.lower.rows != self.lower.columns
        self.linear = _solver(self.lower, points[self.free], method)

    def _lifted(self, tensor: SparseTensor, keep: NDArray[np.bool_], new: Any) -> Any:
        g = self.values[tensor.columns[keep]]
        if not g.any():
            return None
        rows = new[tensor.rows[keep]]
        spread = sparse.csr_array((g, (rows, np.arange(len(g)))), (len(self.free), len(g)))
        return sparse.csr_array(spread @ tensor.map[keep])

    def factor(self, m: Array) -> None:
        """Take m; the next solve factors A(m)."""
        self.linear.fill(self.lower.entries(m))

    def state(self, m: Array) -> Array:
        """The free part of u at the m that was taken.

        Raises:
            SolverDiverged: the solve failed.
        """
        b = self.load if self.lift is None else self.load - self.lift @ m
        return self.linear.solve(b)

    @cached_property
    def scatter(self) -> Any:
        """Products of entries with u, those of both triangles, to the rows that they belong to."""
        rows = np.concatenate([self.lower.rows, self.lower.columns])
        shape = (len(self.free), len(rows))
        return sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape)

    def tangent(self, u: Array, dm: Array) -> Array:
        """du with A du = −A(dm) u."""
        entries, rows, columns = self.lower.entries(dm), self.lower.rows, self.lower.columns
        r = self.scatter @ np.concatenate([entries * u[columns], self._off * entries * u[rows]])
        if self.lift is not None:
            r += self.lift @ dm
        return self.linear.solve(-r)

    def pullback(self, u: Array, w: Array) -> Array:
        """The gradient of w·u along m: −∂/∂m λᵀ A(m) u with A λ = w."""
        adjoint = self.linear.solve(w)
        pairs = pair_products(self.lower.rows, self.lower.columns, adjoint, u)
        gradient = self.lower.transposed @ pairs
        if self.lift is not None:
            gradient += self.lift.T @ adjoint
        return np.asarray(-gradient)


class _Filled(FilledSystem):
    """PETSc's solvers, given the lower triangle."""

    def __init__(self, lower: SparseTensor, n: int, method: Method | None) -> None:
        off = np.flatnonzero(lower.rows != lower.columns)
        rows = np.concatenate([lower.rows, lower.columns[off]])
        columns = np.concatenate([lower.columns, lower.rows[off]])
        order = np.lexsort((columns, rows))
        self._source = np.concatenate([np.arange(len(lower.rows)), off])[order]
        super().__init__(np.searchsorted(rows[order], np.arange(n + 1)), columns[order], method)

    def fill(self, entries: Array) -> None:
        """Take the entries of the lower triangle."""
        super().fill(entries[self._source])


def _solver(
    lower: SparseTensor, points: Array, method: Method | None
) -> CompiledSystem | FilledSystem:
    """The compiled kernels where nothing else is asked for, where they work and pay."""
    if method is None and pays(len(points)):
        starts = np.searchsorted(lower.rows, np.arange(len(points) + 1))
        return CompiledSystem(cholesky_of(starts, lower.columns, points))
    return _Filled(lower, len(points), method)
