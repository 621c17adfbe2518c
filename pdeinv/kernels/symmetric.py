"""Matrices of one symmetric pattern, given by their lower triangles, lane by lane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdeinv.kernels.build import kernel, library
from pdeinv.kernels.tiles import address, empty
from pdeinv.typing import Array

__all__ = ["Symmetric"]


class Symmetric:
    """Entry k of the lower triangle stands in ``rows[k]`` and ``columns[k]``, ``columns <= rows``.

    Args:
        n: rows of the matrices.
        rows: (entries,).
        columns: (entries,).
        complex: whether entries and vectors are; tiles then end in (2, width).

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """

    def __init__(self, n: int, rows: Any, columns: Any, *, complex: bool = False) -> None:
        library()
        self._n, self._complex = n, complex
        self._rows = np.ascontiguousarray(rows, np.int32)
        self._columns = np.ascontiguousarray(columns, np.int32)
        self._places = [address(a) for a in (self._rows, self._columns)]

    def pairs(self, left: Array, right: Array) -> Array:
        """The derivative of Σ_s left_sᵀ A right_s along each entry.

        Args:
            left: a tile (n, width), or (n, sides, width).
            right: another one.

        Returns:
            (entries, width).
        """
        found = empty(len(self._rows), *self._tail(left))
        self._call("symmetric_pairs", left, right, found, left)
        return found

    def times(self, entries: Array, x: Array) -> Array:
        """A x for matrices of entries (entries, width) and x (n, width) or (n, sides, width)."""
        found = empty(self._n, *x.shape[1:])
        found[:] = 0.0
        self._call("symmetric_times", entries, x, found, x)
        return found

    def _tail(self, x: Array) -> tuple[int, ...]:
        return x.shape[-2:] if self._complex else x.shape[-1:]

    def _call(self, name: str, first: Array, second: Array, out: Array, x: Array) -> None:
        given = [np.ascontiguousarray(a, np.float64) for a in (first, second)]
        arrays = map(address, (*given, out))
        sides = math.prod(x.shape[1:]) // math.prod(self._tail(x))
        call = kernel(name, complex=self._complex, width=x.shape[-1])
        call(len(self._rows), *self._places, *arrays, sides)
