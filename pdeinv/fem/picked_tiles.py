"""Data picked out of tables of predictions for a tile at a time, and weights put back."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pdeinv.kernels.sparse import Sparse
from pdeinv.model.observed import Picked
from pdeinv.typing import Array

__all__ = ["PickedTiles"]


class PickedTiles:
    """What :class:`pdeinv.model.observed.Picked` does, for tables (rows, columns, ...) of a tile.

    Args:
        picked: which entries are data.
        shape: of the table.
        complex: whether tables end in (2, width) instead of (width,).
    """

    def __init__(self, picked: Picked, shape: tuple[int, int], *, complex: bool) -> None:
        where = (picked.row, picked.column)
        self._where = (*where, picked.imaginary.astype(np.int64)) if complex else where
        self._table = (*shape, 2) if complex else shape
        self._put = Sparse(_transposed(picked, shape, complex=complex))

    def take(self, table: Array) -> Array:
        """The data, (n_d, width)."""
        return np.asarray(table[self._where])

    def put(self, w: Array) -> Array:
        """C with w·take(D) = Re Σ C D for every table D."""
        return self._put.tile(w).reshape(*self._table, w.shape[-1])


def _transposed(picked: Picked, shape: tuple[int, int], *, complex: bool) -> sparse.csr_array:
    place, sign = picked.row * shape[1] + picked.column, np.ones(len(picked.row))
    if complex:
        place, sign = 2 * place + picked.imaginary, np.where(picked.imaginary, -1.0, 1.0)
    size = shape[0] * shape[1] * (1 + complex)
    return sparse.csr_array((sign, (place, np.arange(len(place)))), (size, len(place)))
