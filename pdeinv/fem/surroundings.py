"""The part of a symmetric matrix where a coefficient is, with all that lies around it eliminated.

A(q) = K + M(q) and M(q) touches some degrees of freedom i alone. The others, e, see fixed entries
and no load: u_e = −K_ee^(-1) K_ei u_i, so that (K_ii − K_ie K_ee^(-1) K_ei + M(q)) u_i = b. What is
subtracted is computed once. It couples all of i that touch e, the edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import SolverDiverged
from pdeinv.fem.factor import Solve, factored

__all__ = ["Inner", "inner_part"]

Ints = NDArray[np.int64]

BLOCK = 64
"""Right-hand sides that are solved for at once."""

GROWTH = 1e3
"""How many times larger than on the edge a wave may be around it; its rounding grows as much."""


@dataclass(frozen=True)
class Inner:
    """The matrix on the degrees of freedom that remain.

    Attributes:
        nodes: which ones, of all.
        edge: those that touch what was eliminated, numbered among ``nodes``.
        starts: CSR pattern of the lower triangle.
        columns: of it.
        entries: of the lower triangle, complex.
        outer: what was eliminated, of all.
        solve: by the matrix among those; None where there are none.
        coupling: entries between those and the edge, CSC.
    """

    nodes: Ints
    edge: Ints
    starts: Ints
    columns: Ints
    entries: NDArray[np.complex128]
    outer: Ints
    solve: Solve | None
    coupling: Any

    @property
    def rows(self) -> Ints:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.nodes)), np.diff(self.starts))

    def reading(self, matrix: Any) -> Any:
        """R with R u_i = B u for a sparse B (r, n), CSR."""
        matrix = sparse.csr_array(matrix).astype(np.complex128)
        inside, outside = matrix[:, self.nodes], matrix[:, self.outer]
        rows = np.flatnonzero(np.diff(outside.indptr))
        if self.solve is None or len(rows) == 0:
            return inside
        table = self._through(self.solve, outside[rows])
        place = (np.repeat(rows, len(self.edge)), np.tile(self.edge, len(rows)))
        return sparse.csr_array(inside - sparse.csr_array((table.ravel(), place), inside.shape))

    def _through(self, solve: Solve, outside: Any) -> NDArray[np.complex128]:
        """B_e K_ee^(-1) K_ei on the edge, by the fewer solves."""
        found = np.empty((outside.shape[0], len(self.edge)), dtype=np.complex128)
        for part in _blocks(min(found.shape)):
            if len(found) < len(self.edge):
                found[part] = (self.coupling.T @ solve(outside[part].T.toarray())).T
            else:
                found[:, part] = outside @ solve(self.coupling[:, part].toarray())
        return found


def _blocks(n: int) -> Iterator[slice]:
    return (slice(first, first + BLOCK) for first in range(0, n, BLOCK))


def inner_part(matrix: Any, touched: NDArray[np.bool_], held: NDArray[np.bool_]) -> Inner:
    """K where the coefficient is.

    Args:
        matrix: K, CSR, symmetric.
        touched: degrees of freedom on which M(q) acts.
        held: those at which solutions are zero.

    Returns:
        All that is not held where the surroundings resonate and rounding would grow.
    """
    outer = np.flatnonzero(~touched & ~held)
    nodes = np.flatnonzero(touched & ~held)
    if len(outer):
        try:
            return _eliminated(matrix, nodes, outer)
        except SolverDiverged:
            pass
    nodes, none = np.flatnonzero(~held), np.zeros(0, dtype=np.int64)
    lower = _lower(sparse.csr_array(matrix)[nodes][:, nodes].astype(np.complex128))
    return Inner(nodes, none, *lower, none, None, None)


def _eliminated(matrix: Any, nodes: Ints, outer: Ints) -> Inner:
    whole = sparse.csr_array(matrix).astype(np.complex128)
    between = whole[outer][:, nodes].tocsc()
    edge = np.flatnonzero(np.diff(between.indptr))
    coupling = between[:, edge]
    around = sparse.csc_array(whole[outer][:, outer])
    solve = factored(around, hint="waves around the unknown resonate")
    square = np.empty((len(edge), len(edge)), dtype=np.complex128)
    rise = np.zeros(len(outer))
    for part in _blocks(len(edge)):
        found = solve(coupling[:, part].toarray())
        rise += np.abs(found).sum(axis=1)
        square[:, part] = coupling.T @ found
    if rise.max() > GROWTH:
        raise SolverDiverged("waves around the unknown resonate")
    place = (np.repeat(edge, len(edge)), np.tile(edge, len(edge)))
    less = sparse.csr_array(((0.5 * (square + square.T)).ravel(), place), (len(nodes),) * 2)
    lower = _lower(whole[nodes][:, nodes], less)
    return Inner(nodes, edge, *lower, outer, solve, coupling)


def _lower(*parts: Any) -> tuple[Ints, Ints, NDArray[np.complex128]]:
    """Pattern and entries of the lower triangle of the first matrix less the others."""
    n, found = parts[0].shape[0], [sparse.coo_array(p) for p in parts]
    row, column = (np.concatenate([p.coords[k] for p in found]).astype(np.int64) for k in (0, 1))
    values = np.concatenate([found[0].data, *(-p.data for p in found[1:])])
    low = row >= column
    keys, where = np.unique(row[low] * n + column[low], return_inverse=True)
    entries = np.zeros(len(keys), dtype=np.complex128)
    np.add.at(entries, where, values[low])
    return np.searchsorted(keys, np.arange(n + 1) * n), keys % n, entries
