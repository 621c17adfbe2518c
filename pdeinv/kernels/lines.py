"""Diffusion along lines of cells: tridiagonal systems, one chain of them, lane by lane.

K is the graph Laplacian of cells that exchange with their neighbours along lines. (I + a K)^(-1)
is a matrix of averages: what it gives lies between the least and the largest number that it is
given, and has the same sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import kernel, library
from pdeinv.kernels.tiles import address, empty
from pdeinv.typing import Array

__all__ = ["Lines", "LinesFactor"]


class Lines:
    """K of lines that lie one behind the other.

    Args:
        cells: the cells in the order of the lines, a permutation of 0 ... n - 1.
        conductances: (n,), between each cell of that order and the one before it, not negative;
            zero where a line begins.

    Raises:
        ShapeError: another number of conductances than cells.
    """

    def __init__(self, cells: NDArray[Any], conductances: Array) -> None:
        library()
        self._cells = np.ascontiguousarray(cells, dtype=np.int32)
        self._couple = np.array(conductances, dtype=np.float64)
        if self._couple.shape != self._cells.shape:
            raise ShapeError(
                f"{self._couple.size} conductances for {self._cells.size} cells; give one each"
            )
        self._couple[:1] = 0.0

    @property
    def size(self) -> int:
        """The number of cells."""
        return len(self._cells)

    def factored(self, a: Array) -> LinesFactor:
        """The factor of I + a K for one a ≥ 0 of each lane, shape (width,)."""
        scale = np.ascontiguousarray(a, dtype=np.float64)
        width = len(scale)
        down, inverse = empty(self.size, width), empty(self.size, width)
        call = kernel("line_factor", complex=False, width=width)
        call(self.size, address(self._couple), address(scale), address(down), address(inverse))
        return LinesFactor(self._cells, down, inverse)

    def times(self, x: Array) -> Array:
        """K x for x (n, width), shape (n, width).

        Raises:
            ShapeError: ``x`` has another first axis.
        """
        x = _checked(x, self.size)
        y = empty(*x.shape)
        call = kernel("line_times", complex=False, width=x.shape[1])
        where = (address(self._cells), address(self._couple), address(x), address(y))
        call(self.size, *where)
        return y


class LinesFactor:
    """(I + a K)^(-1); made by :meth:`Lines.factored`."""

    def __init__(self, cells: NDArray[np.int32], down: Array, inverse: Array) -> None:
        self._cells, self._down, self._inverse = cells, down, inverse

    def solve(self, b: Array) -> Array:
        """(I + a K)^(-1) b for b (n, width), in new memory.

        Raises:
            ShapeError: ``b`` has another shape than the factor.
        """
        x = empty(*_checked(b, *self._down.shape).shape)
        x[:] = b
        call = kernel("line_solve", complex=False, width=x.shape[1])
        parts = (self._cells, self._down, self._inverse, x)
        call(len(x), *(address(p) for p in parts))
        return x


def _checked(x: Array, size: int, width: int | None = None) -> Array:
    """``x`` with rows one behind the other."""
    if x.ndim != 2 or x.shape[0] != size or width not in (None, x.shape[1]):
        wanted = f"({size}, {'lanes' if width is None else width})"
        raise ShapeError(f"an array of shape {x.shape}, expected {wanted}; put the lanes last")
    return np.ascontiguousarray(x, dtype=np.float64)
