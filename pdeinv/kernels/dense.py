"""Products of a dense matrix with many vectors at once, whose bits depend on the vector alone.

BLAS adds in another order for other numbers of vectors.
"""

from __future__ import annotations

import numpy as np

from pdeinv.kernels.build import library
from pdeinv.kernels.product import Product
from pdeinv.kernels.tiles import address, empty
from pdeinv.typing import Array

__all__ = ["Dense"]

_GROUP = 8
"""Rows of the matrix that lie together."""


class Dense(Product):
    """X ↦ A X for a real dense A of shape (m, n).

    Args:
        matrix: A; it is copied.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """

    def __init__(self, matrix: Array) -> None:
        m, n = matrix.shape
        super().__init__((m, n))
        padded = np.zeros((-(-m // _GROUP) * _GROUP, n))
        padded[:m] = matrix
        self._groups = empty(len(padded) // _GROUP, n, _GROUP)
        self._groups[:] = padded.reshape(-1, _GROUP, n).transpose(0, 2, 1)

    def multiply(self, x: Array, out: Array, columns: int) -> None:
        """``out`` = A ``x`` for that many numbers in a row."""
        addresses = (address(a) for a in (self._groups, x, out))
        library().dense_times(*self.shape, *addresses, columns)
