"""Fill-reducing orders of symmetric sparse patterns: nested dissection and minimum degree."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import spilu

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.kernels.tiles import address
from pdeinv.typing import Array

__all__ = ["Index", "dissection", "graph", "minimum_degree", "pattern_of"]

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


def pattern_of(graph: Any) -> tuple[Index, Any]:
    """Where rows begin and their columns, as the kernels take them."""
    return np.asarray(graph.indptr, np.int64), np.asarray(graph.indices, np.int32)


def minimum_degree(pattern: Any) -> Index:
    """SuperLU's multiple minimum degree of A + Aᵀ.

    Args:
        pattern: what :func:`graph` gives.

    Returns:
        Shape (n,), the node that is eliminated at each place.
    """
    n = pattern.shape[0]
    heavy = (pattern + (pattern.sum(axis=1).max() + 1.0) * eye_array(n)).tocsc()
    # the order alone is wanted, and the incomplete factor that drops all is the least work for it
    options = {"SymmetricMode": True}
    lu = spilu(heavy, 0.5, 1.0, permc_spec="MMD_AT_PLUS_A", options=options)
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

    Raises:
        MissingDependency: the kernels cannot be compiled here.
        ShapeError: there are more or fewer points than nodes.
    """
    n, (start, index) = pattern.shape[0], pattern_of(pattern)
    where = None if points is None else np.ascontiguousarray(points, dtype=np.float64)
    if where is not None and (where.ndim != 2 or len(where) != n):
        raise ShapeError(f"points of shape {where.shape}, expected ({n}, dim)")
    order, room = np.empty(n, dtype=np.int64), np.empty(4 * n, dtype=np.int64)
    numbers, side = np.empty(2 * n), np.zeros(n, dtype=np.int8)
    library().dissection(
        *(n, 0 if where is None else where.shape[1], address(start), address(index)),
        *(None if where is None else address(where), leaf, address(order)),
        *(address(numbers), address(room), address(side)),
    )
    return order
