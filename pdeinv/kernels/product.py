"""What products with a fixed matrix share: tiles or rows in and out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.kernels.tiles import empty, parts, rows_of, tile_of
from pdeinv.typing import Array

__all__ = ["Product"]


class Product(ABC):
    """X ↦ A X, column by column of X in the same order of sums.

    Args:
        shape: of A, (m, n).

    Attributes:
        shape: as given.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        library()
        self.shape = shape

    @abstractmethod
    def multiply(self, x: Array, out: Array, columns: int) -> None:
        """``out`` = A ``x``, both contiguous with ``columns`` numbers in a row."""

    def tile(self, x: Array, out: Array | None = None) -> Array:
        """A X.

        Args:
            x: (n, ..., width): a tile, of complex numbers too, or any other array of n rows.
            out: (m, ..., width), C-contiguous and not ``x``; new memory where None.

        Raises:
            ShapeError: ``x`` has another first axis.
        """
        m, n = self.shape
        if x.shape[:1] != (n,):
            raise ShapeError(
                f"an array of shape {x.shape}, expected ({n}, ...); put the lanes last"
            )
        x = np.ascontiguousarray(x, dtype=np.float64)
        y = empty(m, *x.shape[1:]) if out is None else out
        self.multiply(x, y, math.prod(x.shape[1:]))
        return y

    def rows(self, x: Any) -> Any:
        """A x for every row.

        Args:
            x: (rows, n), real or complex.

        Returns:
            (rows, m), of the same type.

        Raises:
            ShapeError: ``x`` has another shape.
        """
        m, n = self.shape
        kind = np.complex128 if x.dtype.kind == "c" else np.float64
        if x.shape != (len(x), n):
            raise ShapeError(f"rows of shape {x.shape}, expected (rows, {n})")
        found = np.empty((len(x), m), dtype=kind)
        given: Array | None = None
        made: Array | None = None
        for part in parts(len(x)):
            rows = x[part.rows].astype(kind, copy=False)
            # fresh memory would cost as much as the product
            given = tile_of(rows, part.width, given)
            made = self.tile(given, made)
            rows_of(made, len(rows), found[part.rows])
        return found
