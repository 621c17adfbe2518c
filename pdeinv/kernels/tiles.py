"""Tiles: arrays of several rows with the row innermost, as the compiled kernels read them.

Rows of numbers, shape (rows, k), become tiles (k, width), complex ones (k, 2, width) with the real
and the imaginary parts apart. A tile has ``lanes()`` rows; the last one of a batch is filled up
with copies of its first row. What a lane holds does not depend on its neighbours.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.typing import Array

__all__ = ["Part", "address", "empty", "lanes", "parts", "rows_of", "tile_of"]

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
    size = math.prod(shape)
    room = np.empty(size + _ALIGNED)
    skip = -(address(room) // 8) % _ALIGNED
    return room[skip : skip + size].reshape(shape)


def tile_of(rows: Any, width: int, out: Array | None = None) -> Array:
    """Rows (r, k), r ≤ width, as a tile: (k, width), or (k, 2, width) where they are complex.

    Args:
        rows: real or complex numbers.
        width: lanes; with 1 the tile is a view of the one row where it can be.
        out: a tile to be used again where it has the right shape; else new memory.

    Raises:
        ShapeError: there are more rows than lanes.
    """
    flat, shape = _numbers(rows)
    if len(flat) > width:
        raise ShapeError(f"{len(flat)} rows for a tile of {width}; take them in parts")
    if width == 1:
        return flat.reshape(*shape, 1)
    tile = out if out is not None and out.shape == (*shape, width) else empty(*shape, width)
    library().tile_rows(address(flat), len(flat), flat.shape[1], address(tile))
    return tile


def rows_of(tile: Array, count: int, into: Any) -> None:
    """Write the first lanes of a tile to C-contiguous rows (count, k), real or complex."""
    flat = into.view(np.float64)
    if tile.shape[-1] == 1:
        flat[:] = tile.reshape(1, -1)
    else:
        library().untile_rows(address(tile), count, flat.shape[1], address(flat))


def _numbers(rows: Any) -> tuple[Array, tuple[int, ...]]:
    """Rows as real numbers, and the shape of one row of them."""
    if rows.dtype.kind == "c":
        flat = np.ascontiguousarray(rows, dtype=np.complex128).view(np.float64)
        return flat, (rows.shape[1], 2)
    return np.ascontiguousarray(rows, dtype=np.float64), (rows.shape[1],)


def address(array: Any) -> int:
    """Where an array's numbers begin."""
    try:
        # a third of the time of array.ctypes.data, for every argument of every call
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (BufferError, TypeError, ValueError):
        return int(array.ctypes.data)
