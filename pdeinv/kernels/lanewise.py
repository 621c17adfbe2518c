"""Products of dense matrices that differ from lane to lane, and the largest number of a lane."""

from __future__ import annotations

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import kernel
from pdeinv.kernels.tiles import address, empty
from pdeinv.typing import Array

__all__ = ["lane_gram", "lane_largest", "lane_times"]


def lane_times(x: Array, y: Array, *, complex: bool = False) -> Array:
    """X Y in every lane.

    Args:
        x: (rows, n, width), or (rows, n, 2, width) where complex.
        y: (n, columns, width), or (n, columns, 2, width).
        complex: whether the numbers are.

    Returns:
        (rows, columns, width), or (rows, columns, 2, width).

    Raises:
        ShapeError: the shapes do not fit.
    """
    rows, n = x.shape[:2]
    return _products(x, y, (rows, n, 1, n), complex)


def lane_gram(x: Array, y: Array, *, complex: bool = False) -> Array:
    """Xᵀ Y in every lane, nothing conjugated; x is (n, rows, width), else as for lane_times."""
    n, rows = x.shape[:2]
    return _products(x, y, (rows, n, rows, 1), complex)


def lane_largest(x: Array) -> Array:
    """The largest absolute value of each lane of (..., width), NaN where one is not finite."""
    x = np.ascontiguousarray(x, np.float64)
    width = x.shape[-1]
    out = empty(width)
    kernel("largest", complex=False, width=width)(x.size // width, address(x), address(out))
    return out


def _products(x: Array, y: Array, steps: tuple[int, int, int, int], complex: bool) -> Array:
    rows, n, along, across = steps
    if y.shape[0] != n or y.shape[2:] != x.shape[2:]:
        raise ShapeError(
            f"factors of shapes {x.shape} and {y.shape} do not fit; put the lanes last"
        )
    x, y = (np.ascontiguousarray(a, np.float64) for a in (x, y))
    out = empty(rows, *y.shape[1:])
    out[:] = 0.0
    call = kernel("lane_products", complex=complex, width=y.shape[-1])
    call(n, rows, y.shape[1], address(x), along, across, address(y), address(out))
    return out
