"""Fill-reducing orders of symmetric sparse patterns: nested dissection and minimum degree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import splu

from pdeinv.typing import Array

__all__ = ["Index", "dissection", "graph", "minimum_degree"]

Index = np.ndarray[Any, np.dtype[np.int64]]
"""Whole numbers, one axis."""

LEAF = 6
"""Nodes of a part that is not divided any more; larger ones fill more, smaller ones cost time."""


def graph(indptr: Index, indices: Index) -> Any:
    """The pattern of A + Aᵀ without its diagonal, as CSR with ones."""
    n = len(indptr) - 1
    half = csr_array((np.ones(len(indices)), np.asarray(indices), np.asarray(indptr)), (n, n))
    whole = csr_array(half + half.T)
    whole.setdiag(0.0)
    whole.eliminate_zeros()
    whole.sort_indices()
    return whole


def minimum_degree(pattern: Any) -> Index:
    """SuperLU's multiple minimum degree of A + Aᵀ.

    Args:
        pattern: what :func:`graph` gives.

    Returns:
        Shape (n,), the node that is eliminated at each place.
    """
    n = pattern.shape[0]
    heavy = (pattern + (pattern.sum(axis=1).max() + 1.0) * eye_array(n)).tocsc()
    lu = splu(heavy, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return np.argsort(lu.perm_c).astype(np.int64)


def dissection(pattern: Any, points: Array | None = None, leaf: int = LEAF) -> Index:
    """Nested dissection: both halves first, then the nodes that part them (George, 1973).

    Args:
        pattern: what :func:`graph` gives.
        points: shape (n, dim), where the nodes lie; halves are made along the longest side.
            Without it along the distance in the graph.
        leaf: nodes of a part that stays whole.

    Returns:
        Shape (n,), the node that is eliminated at each place.
    """
    n = pattern.shape[0]
    order = np.empty(n, dtype=np.int64)
    end, waiting = n, [np.arange(n)]
    side = np.zeros(n, dtype=np.int8)
    while waiting:
        part = waiting.pop()
        # what parts the halves comes last; the halves wait for their turn before it
        last, *halves = _divided(pattern, points, part, leaf, side)
        order[end - len(last) : end] = last
        end -= len(last)
        waiting.extend(halves)
    return order


def _divided(
    pattern: Any, points: Array | None, part: Index, leaf: int, side: Any
) -> Iterator[Index]:
    """Separator and halves of a part; all of it and nothing where it stays whole."""
    if len(part) <= leaf:
        yield part
        return
    along = _along(pattern, part) if points is None else _longest(points[part])
    low = along < _middle(along)
    if low.all() or not low.any():
        yield part
        return
    side[part] = np.where(low, 1, 2)
    near = part[~low]
    touching = near[_touches(pattern, near, side)]
    side[touching] = 0
    yield touching
    yield part[low]
    yield near[side[near] == 2]
    side[part] = 0


def _touches(pattern: Any, nodes: Index, side: Any) -> Any:
    """Which of the nodes have a neighbour on side 1."""
    counts = np.diff(pattern.indptr)[nodes]
    first = np.cumsum(counts) - counts
    flat = np.arange(counts.sum()) + np.repeat(pattern.indptr[nodes] - first, counts)
    hit = side[pattern.indices[flat]] == 1
    return np.bincount(np.repeat(np.arange(len(nodes)), counts), hit, len(nodes)) > 0


def _middle(along: Array) -> float:
    """The place of the cut, a value of ``along`` that leaves nodes on both sides."""
    middle = float(np.median(along))
    values = along[along > along.min()]
    return max(middle, float(values.min())) if len(values) else middle


def _longest(points: Array) -> Array:
    return np.asarray(points[:, np.argmax(np.ptp(points, axis=0))])


def _along(pattern: Any, part: Index) -> Array:
    """Distance in the graph from a node that is far from all others; pieces lie one by one."""
    own = pattern[part][:, part]
    pieces, label = connected_components(own, directed=False)
    if pieces > 1:
        return np.asarray(label, dtype=float)
    far = 0
    for _ in range(3):
        steps = dijkstra(own, directed=False, indices=far, unweighted=True)
        far = int(np.argmax(steps))
    return np.asarray(steps)
