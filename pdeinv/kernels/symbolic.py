"""What a sparse Cholesky factor will look like: elimination tree, columns, supernodes.

Source: T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM 2006, chapters 4 and 6;
supernodes: E. Ng and B. Peyton, SIAM J. Sci. Comput. 14 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.kernels.build import library
from pdeinv.kernels.ordering import Index, pattern_of
from pdeinv.kernels.tiles import address

__all__ = ["Supernodes", "supernodes"]

SMALL = 4
"""Columns up to which a supernode is joined to its parent for any fill that stays moderate."""


@dataclass(frozen=True)
class Supernodes:
    """Columns of a factor in groups that share their rows.

    Attributes:
        order: (n,), the node that is eliminated at each place.
        starts: (s + 1,), first column of each group.
        below: (s + 1,), where the rows of each group begin.
        rows: those below its own columns, ascending in each group.
    """

    order: Index
    starts: Index
    below: Index
    rows: Index

    def widths(self) -> Index:
        """(s,), columns of each group."""
        return np.diff(self.starts)

    def heights(self) -> Index:
        """(s,), rows below the columns of each group."""
        return np.diff(self.below)

    def work(self) -> int:
        """Multiply-adds of a numeric factorisation."""
        w, m = self.widths().astype(float), self.heights().astype(float)
        return int((w**3 / 6 + w**2 * m / 2 + w * m * (m + 1) / 2).sum())

    def entries(self) -> int:
        """Entries of the factor."""
        w, m = self.widths(), self.heights()
        return int((w * (w + 1) // 2 + w * m).sum())


def supernodes(pattern: Any, order: Index, fill: float = 0.25) -> Supernodes:
    """The groups of columns of the Cholesky factor of a pattern.

    Runs of columns of which each but the last has the next one's rows besides are joined to the run
    that follows them where it is their parent and few zeros come in.

    Args:
        pattern: symmetric CSR without diagonal, as of :func:`pdeinv.kernels.ordering.graph`.
        order: (n,), the node that is eliminated at each place.
        fill: zeros that joined groups may hold, relative to their entries.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """
    n, (start, index) = len(order), pattern_of(pattern)
    order, room = np.array(order, dtype=np.int64), np.empty(6 * n, dtype=np.int64)
    parent, count, starts = (np.empty(n + 1, dtype=np.int64) for _ in range(3))
    given = n, address(start), address(index), address(order)
    groups = library().supernodes(
        *(*given, *map(address, (parent, count, starts)), SMALL, fill, address(room))
    )
    starts = starts[: groups + 1].copy()
    ends = starts[1:] - 1
    below = np.concatenate([[0], np.cumsum(count[ends])]).astype(np.int64)
    at, rows = np.full(n, -1), np.empty(below[-1], dtype=np.int64)
    at[ends] = below[:-1]
    library().group_rows(*(*given, *map(address, (parent, at, rows, room))))
    return Supernodes(order, starts, below, rows)
