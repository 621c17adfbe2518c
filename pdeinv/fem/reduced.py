"""A(m) u = b on the degrees of freedom that are not prescribed, A symmetric and linear in m.

With entries A(m) = T m and prescribed values g, the rest solves A_ff u = b_f − A_fd g. One
factor serves state, tangents and adjoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.linear import FilledSystem, Method
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
        method: linear solver; by size where None.

    Attributes:
        free: the degrees of freedom that are solved for.
        lower: the tensor of the lower triangle of A_ff.
    """

    def __init__(
        self,
        tensor: SparseTensor,
        load: Array,
        values: Array,
        fixed: NDArray[np.int32],
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
        self._lift = self._lifted(tensor, ~held[rows] & held[columns], new)
        self._expand = _both_triangles(self.lower)
        self._diagonal = self.lower.rows == self.lower.columns
        self.linear = FilledSystem(*_structure(tensor.part(inside, new)), method)

    def _lifted(self, tensor: SparseTensor, keep: NDArray[np.bool_], new: Any) -> Any:
        """L with A_fd(m) g = L m, CSR; None where g is zero."""
        g = self.values[tensor.columns[keep]]
        if not g.any():
            return None
        rows = new[tensor.rows[keep]]
        spread = sparse.csr_array((g, (rows, np.arange(len(g)))), (len(self.free), len(g)))
        return sparse.csr_array(spread @ tensor.map[keep])

    def factor(self, m: Array) -> None:
        """Take m; the next solve factors A(m)."""
        self.linear.fill(self.lower.entries(m)[self._expand])

    def state(self, m: Array) -> Array:
        """The free part of u at the m that was taken.

        Raises:
            SolverDiverged: the solve failed.
        """
        b = self.load if self._lift is None else self.load - self._lift @ m
        return self.linear.solve(b)

    def tangent(self, u: Array, dm: Array) -> Array:
        """du with A du = −A(dm) u."""
        entries, rows, columns = self.lower.entries(dm), self.lower.rows, self.lower.columns
        r = np.bincount(rows, entries * u[columns], len(u))
        off = np.where(self._diagonal, 0.0, entries)
        r += np.bincount(columns, off * u[rows], len(u))
        if self._lift is not None:
            r += self._lift @ dm
        return self.linear.solve(-r)

    def pullback(self, u: Array, w: Array) -> Array:
        """The gradient of w·u along m: −∂/∂m λᵀ A(m) u with A λ = w."""
        adjoint = self.linear.solve(w)
        rows, columns = self.lower.rows, self.lower.columns
        pairs = adjoint[rows] * u[columns]
        pairs += np.where(self._diagonal, 0.0, adjoint[columns] * u[rows])
        gradient = self.lower.transposed @ pairs
        if self._lift is not None:
            gradient += self._lift.T @ adjoint
        return np.asarray(-gradient)


def _structure(tensor: SparseTensor) -> tuple[Any, Any]:
    """Where each row begins, and the column of each entry."""
    n = int(tensor.rows[-1]) + 1
    return np.searchsorted(tensor.rows, np.arange(n + 1)), tensor.columns


def _both_triangles(lower: SparseTensor) -> Any:
    """For each entry of the whole matrix, row by row, the entry of the lower triangle it equals."""
    off = np.flatnonzero(lower.rows != lower.columns)
    rows = np.concatenate([lower.rows, lower.columns[off]])
    columns = np.concatenate([lower.columns, lower.rows[off]])
    return np.concatenate([np.arange(len(lower.rows)), off])[np.lexsort((columns, rows))]
