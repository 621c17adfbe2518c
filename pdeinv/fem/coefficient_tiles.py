"""The unknown as values at points for a tile of unknowns at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from pdeinv.kernels.dense import Dense
from pdeinv.kernels.product import Product
from pdeinv.kernels.sparse import Sparse
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.typing import Array

__all__ = ["CoefficientTiles"]


class CoefficientTiles:
    """A coefficient of tiles m (n_m, width) with values (n, width).

    Affine ones are multiplied by the kernels; any other one is asked lane by lane.

    Args:
        coefficient: of one unknown.
    """

    def __init__(self, coefficient: Coefficient) -> None:
        self._one = coefficient
        self._ahead: Product | None = None
        if isinstance(coefficient, Affine):
            self._ahead, self._back = _product(coefficient.matrix), _product(coefficient.matrix.T)
            offset = np.asarray(coefficient.offset)
            self._offset = offset[:, None] if offset.ndim else offset

    def values(self, m: Array) -> Array:
        """The values."""
        if self._ahead is None:
            return _each(self._one, m)
        return np.asarray(self._ahead.tile(m) + self._offset)

    def jvp(self, m: Array, dm: Array) -> Array:
        """The derivative along dm."""
        return _each(self._one.jvp, m, dm) if self._ahead is None else self._ahead.tile(dm)

    def vjp(self, m: Array, w: Array) -> Array:
        """The derivative's transpose on w (n, width), shape (n_m, width)."""
        return _each(self._one.vjp, m, w) if self._ahead is None else self._back.tile(w)


def _product(matrix: object) -> Product:
    return Sparse(matrix) if sparse.issparse(matrix) else Dense(np.asarray(matrix))


def _each(ask: Callable[..., Array], *tiles: Array) -> Array:
    lanes = (np.ascontiguousarray(t.T) for t in tiles)
    return np.stack([ask(*lane) for lane in zip(*lanes, strict=True)], axis=-1)
