"""The misfit of envelopes: how strong the data are and when, whatever their phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import fft

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.noise import half_square
from pdeinv.bayes.score import Score
from pdeinv.typing import Array

__all__ = ["Envelope"]


@dataclass(frozen=True)
class Envelope(Score):
    """Φ = ½ Σ ((E(G) − E(y))/σ)² with E(g)² = g² + (H g)² + σ², H the Hilbert transform in time.

    Envelopes vary slowly, so that a prediction half a period off still slopes to the data (Bozdağ,
    Trampert and Tromp 2011; Wu, Luo and Wu 2014). σ² keeps E smooth where nothing has arrived. It
    is a score: the errors of an envelope are no Gaussian ones, and its sign is lost.

    Attributes:
        filter: through which predictions and data go first.
        std: σ of each datum, shape (n_d,).
        weight: what Φ is multiplied by.
    """

    filter: Causal
    std: Array
    weight: float = 1.0

    called: ClassVar[str] = "an envelope misfit"

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.std)

    @property
    def _scale(self) -> Array:
        return np.asarray(self.std / np.sqrt(self.weight))

    def check(self, data: Array) -> None:
        """Any number may be measured."""

    def _hilbert(self, values: Array) -> Array:
        """H v for (..., n_d), traces between zeros; Hᵀ is −H."""
        traces = self.filter.traces
        n = traces.shape[1]
        length = fft.next_fast_len(2 * n, real=True)
        waves = -1j * fft.rfft(traces.put(values), length, axis=-1)
        waves[..., 0] = 0
        if length % 2 == 0:
            waves[..., -1] = 0
        return traces.take(fft.irfft(waves, length, axis=-1)[..., :n])

    def _parts(self, values: Array) -> tuple[Array, Array, Array]:
        """g, H g and E(g) of what passes the filter."""
        g = self.filter(values)
        h = self._hilbert(g)
        return g, h, np.sqrt(g**2 + h**2 + self.std**2)

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        off = (self._parts(prediction)[2] - self._parts(data)[2]) / self._scale
        return half_square(off)

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG."""
        at = EnvelopeFisher(self, *self._parts(prediction))
        white = (at.e - self._parts(data)[2]) / self._scale
        return half_square(white), at.whiten_transpose(white)

    def fisher(self, prediction: Array) -> EnvelopeFisher:
        """Kᵀ K with K = S^(-1) dE/dG, which curves as the score does where the data are fitted."""
        return EnvelopeFisher(self, *self._parts(prediction))

    def tempered(self, temperature: float) -> Envelope:
        """With the misfit Φ / ``temperature``."""
        return replace(self, weight=self.weight / temperature)


@dataclass(frozen=True)
class EnvelopeFisher:
    """The derivative of E at a prediction over σ.

    Attributes:
        of: the misfit.
        g: the filtered prediction, h its Hilbert transform, e its envelope, each (..., n_d).
    """

    of: Envelope
    g: Array
    h: Array
    e: Array

    def whiten(self, residual: Array) -> Array:
        """K v = (g F v + h H F v)/(E σ) for (..., n_d)."""
        v = self.of.filter(residual)
        return np.asarray((self.g * v + self.h * self.of._hilbert(v)) / (self.e * self.of._scale))

    def whiten_transpose(self, w: Array) -> Array:
        """Kᵀ w."""
        w = w / (self.e * self.of._scale)
        back = self.g * w - self.of._hilbert(self.h * w)
        return self.of.filter.transpose(back)
