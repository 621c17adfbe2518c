"""Products of a fixed complex matrix with tiles of complex vectors."""

from __future__ import annotations

from typing import Any

from scipy import sparse

from pdeinv.kernels.dense import Dense
from pdeinv.kernels.product import Product
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

__all__ = ["ComplexProduct"]


class ComplexProduct:
    """X ↦ A X for X of parts (n, ..., 2, width).

    Args:
        matrix: A, sparse or dense.
    """

    def __init__(self, matrix: Any) -> None:
        self._real, self._imaginary = _product(matrix.real), _product(matrix.imag)
        self._is_real = abs(matrix.imag).max() == 0

    def tile(self, x: Array) -> Array:
        """A X."""
        found = self._real.tile(x)
        if not self._is_real:
            turned = self._imaginary.tile(x)
            found[..., 0, :] -= turned[..., 1, :]
            found[..., 1, :] += turned[..., 0, :]
        return found


def _product(matrix: Any) -> Product:
    return Sparse(matrix) if sparse.issparse(matrix) else Dense(matrix)
