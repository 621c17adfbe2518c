"""The order of elimination of a sparse pattern and the columns of its factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.ordering import Index, dissection, graph, minimum_degree
from pdeinv.kernels.symbolic import Supernodes, supernodes
from pdeinv.typing import Array

__all__ = ["analyzed"]


def analyzed(
    indptr: Index,
    indices: Index,
    points: Array | None = None,
    order: Any = None,
    last: Index | None = None,
) -> Supernodes:
    """The supernodes of the given order, else of the one with the fewest multiply-adds.

    They depend on where both triangles of the matrix have entries, be one or both of them given.

    Args:
        indptr: as for :class:`pdeinv.kernels.cholesky.Cholesky`.
        indices: as there.
        points: as there.
        order: as there.
        last: unknowns that come after all others, such as ones that are all coupled.

    Raises:
        ShapeError: ``order`` is no order of the unknowns.
    """
    pattern = graph(indptr, indices)
    if order is not None:
        given, n = np.asarray(order, dtype=np.int64), len(indptr) - 1
        if not np.array_equal(np.sort(given), np.arange(n)):
            raise ShapeError(
                f"an order of {given.size} places, expected each of the {n} unknowns once"
            )
        return supernodes(pattern, given)
    found = _orders(pattern, points, np.zeros(0, dtype=np.int64) if last is None else last)
    return min((supernodes(pattern, o) for o in found), key=Supernodes.work)


def _orders(pattern: Any, points: Array | None, last: Index) -> Iterator[Index]:
    """Orders to choose from, with some unknowns at their end."""
    first = np.delete(np.arange(pattern.shape[0]), last)
    if len(first) == 0:
        yield last
        return
    inner = pattern[first][:, first] if len(last) else pattern
    where = points[first] if points is not None and len(last) else points
    for found in (dissection(inner, where), minimum_degree(inner)):
        yield np.concatenate([first[found], last])
