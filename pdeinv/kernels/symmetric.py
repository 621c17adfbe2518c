"""Matrices of one symmetric pattern, given by their lower triangles, lane by lane."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.kernels.build import library
from pdeinv.kernels.tiles import address, empty
from pdeinv.typing import Array

__all__ = ["Symmetric"]


class Symmetric:
    """Entry k of the lower triangle stands in ``rows[k]`` and ``columns[k]``, ``columns <= rows``.

    Args:
        n: rows of the matrices.
        rows: (entries,).
        columns: (entries,).

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """

    def __init__(self, n: int, rows: Any, columns: Any) -> None:
        library()
        self._n = n
        self._rows = np.ascontiguousarray(rows, np.int32)
        self._columns = np.ascontiguousarray(columns, np.int32)
        self._places = [address(a) for a in (self._rows, self._columns)]

    def pairs(self, left: Array, right: Array) -> Array:
        """The derivative of leftᵀ A right along each entry.

        Args:
            left: a tile (n, width).
            right: another one.

        Returns:
            (entries, width).
        """
        found = empty(len(self._rows), left.shape[-1])
        self._call("symmetric_pairs", left, right, found)
        return found

    def times(self, entries: Array, x: Array) -> Array:
        """A x for matrices of entries (entries, width) and x (n, width)."""
        found = empty(self._n, x.shape[-1])
        found[:] = 0.0
        self._call("symmetric_times", entries, x, found)
        return found

    def _call(self, name: str, first: Array, second: Array, out: Array) -> None:
        given = [np.ascontiguousarray(a, np.float64) for a in (first, second)]
        arrays = map(address, (*given, out))
        getattr(library(), name)(len(self._rows), *self._places, *arrays, out.shape[-1])
