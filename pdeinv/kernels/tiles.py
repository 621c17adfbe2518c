"""Tiles: arrays of several rows with the row innermost, as the compiled kernels read them.

Rows of numbers, shape (rows, k), become tiles (k, width), complex ones (k, 2, width) with the real
and the imaginary parts apart. A tile has ``lanes()`` rows; the last one of a batch is filled up
with copies of its first row. What a lane holds does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pdeinv.kernels.build import library
from pdeinv.typing import Array

__all__ = ["Part", "empty", "lanes", "parts", "rows_of", "tile_of"]

_ALIGNED = 8
"""Numbers of one cache line."""


@cache
def lanes() -> int:
    """Rows of a tile."""
    return int(library().lanes())


@dataclass(frozen=True)
class Part:
    """Some rows of a batch that are worked on together.

    Attributes:
        rows: which ones.
        width: lanes of their tile; 1 or :func:`lanes`.
    """

    rows: slice
    width: int


def parts(rows: int, single: int = 0) -> Iterator[Part]:
    """A batch in whole tiles.

    Args:
        rows: of the batch.
        single: up to how many rows of the last tile are worked on one by one instead.
    """
    wide = lanes()
    for first in range(0, rows, wide):
        end = min(first + wide, rows)
        if end - first <= single:
            yield from (Part(slice(k, k + 1), 1) for k in range(first, end))
        else:
            yield Part(slice(first, end), wide)


def empty(*shape: int) -> Array:
    """An array of numbers that begins at a cache line."""
    size = int(np.prod(shape))
    room = np.empty(size + _ALIGNED)
    skip = -(room.ctypes.data // 8) % _ALIGNED
    return room[skip : skip + size].reshape(shape)


def tile_of(rows: Any, width: int) -> Array:
    """Rows (r, k), r ≤ width, as a tile: (k, width), or (k, 2, width) where they are complex."""
    flat, shape = _numbers(rows)
    if width == 1:
        return flat.reshape(*shape, 1)
    tile = empty(*shape, width)
    library().tile_rows(_at(flat), len(flat), flat.shape[1], _at(tile))
    return tile


def rows_of(tile: Array, count: int, into: Any) -> None:
    """Write the first lanes of a tile to C-contiguous rows (count, k), real or complex."""
    flat = into.view(np.float64)
    if tile.shape[-1] == 1:
        flat[:] = tile.reshape(1, -1)
    else:
        library().untile_rows(_at(tile), count, flat.shape[1], _at(flat))


def _numbers(rows: Any) -> tuple[Array, tuple[int, ...]]:
    """Rows as real numbers, and the shape of one row of them."""
    if rows.dtype.kind == "c":
        flat = np.ascontiguousarray(rows, dtype=np.complex128).view(np.float64)
        return flat, (rows.shape[1], 2)
    return np.ascontiguousarray(rows, dtype=np.float64), (rows.shape[1],)


def _at(array: Any) -> Any:
    return array.ctypes.data
