"""The first cells: a Gaussian bump, averaged over the box of each point, smooth in its place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from pdeinv.typing import Array

from .config import SeedConfig
from .lattice import Lattice

__all__ = ["Seed"]


class Seed:
    """c at the start: peak · exp(−|x − x₀|²/(2 w²)), averaged, for a tile of places x₀ (d, width).

    Args:
        lattice: where c is sought.
        config: peak and width.
    """

    def __init__(self, lattice: Lattice, config: SeedConfig) -> None:
        self._lattice, self._peak, self._width = lattice, config.peak, config.width

    def __call__(self, place: Array) -> Array:
        """c, shape (n, width)."""
        return np.asarray(self._peak * np.prod(self._factors(place), axis=0))

    def tangent(self, place: Array, change: Array) -> Array:
        """Its derivative along a change of the place (d, width)."""
        found = np.zeros((self._lattice.size, place.shape[1]))
        for partial, step in zip(self._partials(place), change, strict=True):
            found += partial * step
        return found

    def adjoint(self, place: Array, w: Array) -> Array:
        """The transpose: w (n, width) to (d, width)."""
        return np.stack([np.add.reduce(p * w, axis=0) for p in self._partials(place)])

    def _factors(self, place: Array) -> list[Array]:
        return [self._average(k, x)[i] for k, (x, i) in enumerate(self._each(place))]

    def _partials(self, place: Array) -> list[Array]:
        """∂c/∂x₀ along each axis, (n, width) each."""
        factors = self._factors(place)
        found = []
        for k, (x, i) in enumerate(self._each(place)):
            others = [f for j, f in enumerate(factors) if j != k]
            slope = self._peak * self._slope(k, x)[i]
            found.append(np.prod([slope, *others], axis=0))
        return found

    def _each(self, place: Array) -> list[tuple[Array, NDArray[np.int64]]]:
        return list(zip(place, self._lattice.index, strict=True))

    def _ends(self, k: int, x: Array) -> tuple[Array, Array]:
        """The ends of the boxes along an axis, from x and in widths, (n_axis, width) each."""
        axis, half = self._lattice.axes[k], self._lattice.spacing[k] / 2
        away = axis[:, None] - x
        return (away - half) / self._width, (away + half) / self._width

    def _average(self, k: int, x: Array) -> Array:
        low, high = self._ends(k, x)
        scale = self._width * math.sqrt(math.pi / 2) / self._lattice.spacing[k]
        return np.asarray(scale * (erf(high / math.sqrt(2)) - erf(low / math.sqrt(2))))

    def _slope(self, k: int, x: Array) -> Array:
        low, high = self._ends(k, x)
        return np.asarray(
            (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / self._lattice.spacing[k]
        )
