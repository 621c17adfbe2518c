"""Noise whose spectrum rises, so that long waves count for more: the norm of H^s, s < 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pdeinv.model.traces import Traces
from pdeinv.typing import Array

__all__ = ["Sobolev"]

BLOCK = 64
"""Columns of a transform that are held at once."""


@dataclass(frozen=True)
class Sobolev:
    """Γ^(-1) = S^(-1) (I + D/c²)^s S^(-1): the norm of H^s along time, s < 0, of r/σ.

    D is the second difference −d²/dt²/(2π)² with the slope zero at the ends of a stretch without a
    gap, which the cosine transform diagonalizes: Γ = σ² at low frequencies and σ² (f/c)^(−2s) far
    above the corner c. So long waves count for more than short ones, and it is a density: noise
    whose spectrum rises so. Reference: Engquist, Ren and Yang (2020), for the misfit.

    Attributes:
        traces: where the data stand.
        sigma: σ of each datum, shape (n_d,).
        power: s, negative.
        corner: c, cycles per unit of time.
    """

    traces: Traces
    sigma: Array
    power: float
    corner: float

    @cached_property
    def _pieces(self) -> list[tuple[NDArray[np.int64], Array]]:
        """The data of equally long stretches, each with (1 + (f/c)²)^(s/2) of its waves."""
        return [(rows, self._weights(rows.shape[1])) for rows in self.traces.pieces()]

    def _weights(self, length: int) -> Array:
        waves = np.sin(0.5 * np.pi * np.arange(length) / length) / (np.pi * self.traces.step)
        return np.asarray((1 + (waves / self.corner) ** 2) ** (0.5 * self.power))

    def _acted(self, values: Array, exponent: int) -> Array:
        """(I + D/c²)^(s/2) or its inverse."""
        found = np.empty_like(values)
        for rows, weights in self._pieces:
            waves = fft.dct(values[..., rows], norm="ortho") * weights**exponent
            found[..., rows] = fft.idct(waves, norm="ortho")
        return found

    def whiten(self, residual: Array) -> Array:
        """W r for (..., n_d)."""
        return self._acted(residual / self.sigma, 1)

    def whiten_transpose(self, w: Array) -> Array:
        """Wᵀ w for (..., n_d)."""
        return self._acted(w, 1) / self.sigma

    def draw(self, white: Array) -> Array:
        """W^(-1) z."""
        return self.sigma * self._acted(white, -1)

    @cached_property
    def std(self) -> Array:
        """The root of the diagonal of Γ, shape (n_d,)."""
        found = np.empty(self.traces.size)
        for rows, weights in self._pieces:
            n = rows.shape[1]
            parts = [
                np.square(fft.dct(np.eye(n)[k : k + BLOCK], norm="ortho")) @ weights**-2.0
                for k in range(0, n, BLOCK)
            ]
            found[rows] = np.sqrt(np.concatenate(parts))
        return found * self.sigma

    @property
    def log_volume(self) -> float:
        """½ ln det Γ."""
        waves = sum(len(rows) * float(np.sum(np.log(w))) for rows, w in self._pieces)
        return float(np.sum(np.log(self.sigma))) - waves

    @property
    def counts(self) -> tuple[float, float]:
        """W whitens the errors of this density."""
        return float(self.traces.size), float(self.traces.size)

    def tempered(self, temperature: float) -> Sobolev:
        """That of ``temperature`` Γ."""
        return replace(self, sigma=np.sqrt(temperature) * self.sigma)
