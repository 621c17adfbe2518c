"""What a sparse Cholesky factor will look like: elimination tree, columns, supernodes.

Source: T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM 2006, chapters 4 and 6;
supernodes: E. Ng and B. Peyton, SIAM J. Sci. Comput. 14 (1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.kernels.ordering import Index

__all__ = ["Supernodes", "supernodes"]

SMALL = 4
"""Columns up to which a supernode is joined to its parent for any fill that stays moderate."""


@dataclass(frozen=True)
class Supernodes:
    """Columns of a factor in groups that share their rows.

    Attributes:
        order: (n,), the node that is eliminated at each place.
        starts: (s + 1,), first column of each group.
        rows: per group, the rows below its own columns, ascending.
    """

    order: Index
    starts: Index
    rows: tuple[Index, ...]

    def widths(self) -> Index:
        """(s,), columns of each group."""
        return np.diff(self.starts)

    def work(self) -> int:
        """Multiply-adds of a numeric factorisation."""
        w = self.widths().astype(float)
        m = np.array([len(r) for r in self.rows], dtype=float)
        return int((w**3 / 6 + w**2 * m / 2 + w * m * (m + 1) / 2).sum())

    def entries(self) -> int:
        """Entries of the factor."""
        w, m = self.widths(), np.array([len(r) for r in self.rows])
        return int((w * (w + 1) // 2 + w * m).sum())


def supernodes(pattern: Any, order: Index, fill: float = 0.25) -> Supernodes:
    """The groups of columns of the Cholesky factor of a pattern.

    Args:
        pattern: symmetric CSR without diagonal, as of :func:`pdeinv.kernels.ordering.graph`.
        order: (n,), the node that is eliminated at each place.
        fill: zeros that joined groups may hold, relative to their entries.
    """
    lower = _lower(pattern, order)
    parent = _tree(lower)
    post = _postorder(parent)
    order = order[post]
    lower = _lower(pattern, order)
    parent = _tree(lower)
    structs = _columns(lower, parent)
    return _joined(order, _fundamental(parent, structs), structs, fill)


def _lower(pattern: Any, order: Index) -> list[Index]:
    """Per column of the reordered pattern, its rows below the diagonal, ascending."""
    inner = pattern[order][:, order].tocsr()
    inner.sort_indices()
    n = inner.shape[0]
    own = np.repeat(np.arange(n), np.diff(inner.indptr))
    keep = inner.indices > own
    rows = inner.indices[keep].astype(np.int64)
    return np.split(rows, np.cumsum(np.bincount(own[keep], minlength=n))[:-1])


def _tree(lower: Sequence[Index]) -> Index:
    """The elimination tree: the parent of each column, -1 for roots."""
    n = len(lower)
    parent, ancestor = [-1] * n, [-1] * n
    earlier: list[list[int]] = [[] for _ in range(n)]
    for j, rows in enumerate(lower):
        for i in rows.tolist():
            earlier[i].append(j)
    for i in range(n):
        for start in earlier[i]:
            j = start
            while j not in (-1, i):
                above, ancestor[j] = ancestor[j], i
                if above == -1:
                    parent[j] = i
                j = above
    return np.array(parent, dtype=np.int64)


def _postorder(parent: Index) -> Index:
    """Children before parents, subtrees without gaps."""
    n = len(parent)
    children: list[list[int]] = [[] for _ in range(n + 1)]
    for j in range(n - 1, -1, -1):
        children[parent[j]].append(j)
    post, stack = [], children[-1]
    while stack:
        j = stack[-1]
        if children[j]:
            stack.append(children[j].pop())
        else:
            post.append(stack.pop())
    return np.array(post, dtype=np.int64)


def _columns(lower: Sequence[Index], parent: Index) -> list[Index]:
    """Per column, the rows of the factor below its diagonal, ascending."""
    n = len(lower)
    structs: list[Index] = list(lower)
    children: list[list[int]] = [[] for _ in range(n)]
    for j in range(n):
        parts = [lower[j], *(structs[c][1:] for c in children[j])]
        structs[j] = np.unique(np.concatenate(parts)) if len(parts) > 1 else lower[j]
        if parent[j] >= 0:
            children[parent[j]].append(j)
    return structs


def _fundamental(parent: Index, structs: Sequence[Index]) -> list[tuple[int, int]]:
    """Runs of columns [first, end) of which each but the last has the next one's rows besides."""
    runs: list[tuple[int, int]] = []
    first, n = 0, len(parent)
    for j in range(1, n + 1):
        chained = j < n and parent[j - 1] == j and len(structs[j - 1]) == len(structs[j]) + 1
        if not chained:
            runs.append((first, j))
            first = j
    return runs


def _size(width: int, below: int) -> int:
    return width * (width + 1) // 2 + width * below


def _joined(
    order: Index, runs: Sequence[tuple[int, int]], structs: Sequence[Index], fill: float
) -> Supernodes:
    """Groups, each joined to the one that follows it where that is its parent and costs little."""
    done: list[tuple[int, int, int]] = []  # first, end, entries that are no padding
    for first, end in runs:
        group = first, end, _size(end - first, len(structs[end - 1]))
        while done and _worth(done[-1], group, structs, fill):
            before = done.pop()
            group = before[0], end, group[2] + before[2]
        done.append(group)
    starts = np.array([*(d[0] for d in done), len(structs)], dtype=np.int64)
    return Supernodes(order, starts, tuple(structs[d[1] - 1] for d in done))


def _worth(
    child: tuple[int, int, int],
    parent: tuple[int, int, int],
    structs: Sequence[Index],
    fill: float,
) -> bool:
    """Whether a group and the next become one: the next is its parent, and few zeros come in."""
    rows = structs[child[1] - 1]
    if not len(rows) or not parent[0] <= rows[0] < parent[1]:
        return False
    whole = _size(parent[1] - child[0], len(structs[parent[1] - 1]))
    zeros = whole - child[2] - parent[2]
    narrow = min(child[1] - child[0], parent[1] - parent[0]) <= SMALL
    return zeros <= (fill if narrow else fill / 4) * whole
