"""Products of a sparse matrix with many vectors at once, whose bits depend on the vector alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from pdeinv.kernels.build import library
from pdeinv.kernels.product import Product
from pdeinv.kernels.tiles import address
from pdeinv.typing import Array

__all__ = ["Sparse"]


class Sparse(Product):
    """X ↦ A X for a real sparse A of shape (m, n).

    Args:
        matrix: whatever scipy makes CSR of.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """

    def __init__(self, matrix: Any) -> None:
        csr = csr_array(matrix)
        super().__init__(csr.shape)
        self._start = np.ascontiguousarray(csr.indptr, np.int64)
        self._index = np.ascontiguousarray(csr.indices, np.int32)
        self._values = np.ascontiguousarray(csr.data, np.float64)
        self._places = [address(a) for a in (self._start, self._index, self._values)]

    def multiply(self, x: Array, out: Array, columns: int) -> None:
        """``out`` = A ``x`` for that many numbers in a row."""
        library().csr_times(self.shape[0], *self._places, address(x), address(out), columns)
