"""The energy ∫ γ ∇u·∇v of :class:`pdeinv.fem.energy.Energy` for a tile of coefficients at a time.

Complex numbers are parts: a tile ends in (2, width) instead of (width,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.compiled import cholesky_of
from pdeinv.fem.energy import Energy
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.lanewise import lane_gram
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.typing import Array

__all__ = ["EnergyTiles", "symmetrized"]

Ints = NDArray[np.int64]


class EnergyTiles:
    """K(γ) by the entries of its lower triangle.

    Args:
        energy: of one coefficient.
        complex: whether γ is.

    Attributes:
        energy, complex: as given.
    """

    def __init__(self, energy: Energy, *, complex: bool) -> None:
        self.energy, self.complex = energy, complex
        lower, tensor = energy.lower, energy.assembly[energy.lower]
        self._rows, self._columns = (a[lower] for a in energy.pairs)
        self._assembly, self._spread = Sparse(tensor), Sparse(tensor.T)
        self._pattern = Symmetric(energy.n, self._rows, self._columns, complex=complex)

    def data(self, gamma: Array) -> Array:
        """The entries (lower, ...) of K(γ), γ (points, ...)."""
        return self._assembly.tile(gamma)

    def times(self, data: Array, u: Array) -> Array:
        """K u for u (n, sides, ...)."""
        return self._pattern.times(data, u)

    def product(self, data: Array, u: Array) -> Array:
        """uᵀ K u, shape (sides, sides, ...), symmetric."""
        return symmetrized(lane_gram(u, self.times(data, u), complex=self.complex))

    def gradient(self, left: Array, right: Array) -> Array:
        """d/dγ of Σ_s left_sᵀ K(γ) right_s for (n, sides, ...), at the points."""
        return self._spread.tile(self._pattern.pairs(left, right))

    def entry_of(self, rows: Ints, columns: Ints) -> Ints:
        """Lower entries of pairs of degrees of freedom that share a cell, columns ≤ rows."""
        every = self.energy.entry_of(rows, columns)
        return np.searchsorted(self.energy.lower, every)

    def block(self, keep: NDArray[np.bool_]) -> tuple[Ints, Cholesky]:
        """The entries between some degrees of freedom, and the factors of that part."""
        inside = np.flatnonzero(keep[self._rows] & keep[self._columns])
        number = np.cumsum(keep) - 1
        rows, columns = number[self._rows[inside]], number[self._columns[inside]]
        starts = np.searchsorted(rows, np.arange(int(keep.sum()) + 1))
        points = self.energy.space.points[keep]
        return inside, cholesky_of(starts, columns, points, complex=self.complex)

    def real(self, tile: Array) -> Array:
        """Real numbers as numbers of this kind."""
        if not self.complex:
            return tile
        return np.stack([tile, np.zeros_like(tile)], axis=-2)


def symmetrized(x: Any) -> Array:
    """(X + Xᵀ) / 2 of a tile of square matrices."""
    return np.asarray((x + x.swapaxes(0, 1)) / 2)
