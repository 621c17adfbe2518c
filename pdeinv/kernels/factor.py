"""The factors of one tile of matrices, and the memory that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.kernels.ordering import Index
from pdeinv.kernels.tiles import address, empty, lanes
from pdeinv.typing import Array

if TYPE_CHECKING:
    from pdeinv.kernels.cholesky import Cholesky

__all__ = ["Factor", "Storage"]


class Storage:
    """Memory for the factors of one tile and for solves with them, to be used again and again.

    Args:
        size: numbers of the factors.

    Attributes:
        held: the factors, as the kernels keep them.
    """

    def __init__(self, size: int) -> None:
        self.held = empty(size)
        self._room = empty(0)

    def room(self, size: int) -> Array:
        """Working memory of a solve."""
        if self._room.size < size:
            self._room = empty(size)
        return self._room


@dataclass(frozen=True)
class Factor:
    """The factors of one tile of matrices.

    Attributes:
        of: pattern and order.
        storage: memory that holds L.
        column: (width,), 0 where the factor exists, else 1 + the column at which it broke down.
    """

    of: Cholesky
    storage: Storage
    column: Index

    @property
    def failed(self) -> Any:
        """(width,), which matrices are not positive definite; their solutions hold NaN."""
        return self.column > 0

    def solve(self, b: Array, out: Array | None = None) -> Array:
        """A^(-1) b, lane by lane.

        Args:
            b: (n, width) or (n, k, width); for complex matrices (n, 2, width) or (n, k, 2, width),
                real and imaginary parts.
            out: where to put the result, C-contiguous, may be ``b``; a new array where None.

        Raises:
            ShapeError: ``b`` or ``out`` has another shape.
        """
        b, x, sides = self.sides(b, out)
        arrays = (self.storage.held, b, x)
        solve = self.of.kernel("solve", len(self.column))
        solve(self.of.plan, *map(address, arrays), sides, address(self.room(sides)))
        return x

    def solve_shared(self, b: Array) -> Array:
        """A^(-1) b for a tile of right-hand sides (n, lanes) of the one real matrix.

        Raises:
            ShapeError: the factor is not one of a single real matrix, or ``b`` has another shape.
        """
        shape = (self.of.n, lanes())
        if b.shape != shape or len(self.column) != 1 or self.of.complex:
            raise ShapeError(
                f"right-hand sides of shape {b.shape} for {len(self.column)} matrices, expected "
                f"{shape} and one real matrix"
            )
        b, x = np.ascontiguousarray(b, dtype=np.float64), empty(*shape)
        arrays = (self.storage.held, b, x, self.storage.room(b.size))
        library().solve_shared(self.of.plan, *map(address, arrays))
        return x

    def sides(self, b: Array, out: Array | None) -> tuple[Array, Array, int]:
        """Right-hand sides and room for solutions as the kernels take them, and their number."""
        n, width = self.of.n, len(self.column)
        tail = (2, width) if self.of.complex else (width,)
        if b.shape[:1] != (n,) or b.shape[-len(tail) :] != tail or b.ndim > len(tail) + 2:
            raise ShapeError(
                f"right-hand sides of shape {b.shape}, expected ({n}, [k,] "
                f"{', '.join(map(str, tail))}); put the lanes last"
            )
        b = np.ascontiguousarray(b, dtype=np.float64)
        x = empty(*b.shape) if out is None else out
        if x.shape != b.shape or x.dtype != np.float64 or not x.flags.c_contiguous:
            raise ShapeError(f"out of shape {x.shape}, expected {b.shape} in C order and float64")
        return b, x, b.size // (n * width * (1 + self.of.complex))

    def room(self, sides: int) -> Array:
        """Working memory of a solve with so many right-hand sides."""
        return self.storage.room(self.of.room(len(self.column), sides))
