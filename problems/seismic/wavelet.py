"""The Ricker wavelet, the second derivative of a Gaussian (Ricker 1953)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Pulse", "ricker", "ricker_slope"]


def ricker(t: Array, frequency: float) -> Array:
    """w(t) = (1 − 2a) exp(−a), a = (π f t)², of peak 1 at t = 0."""
    a = (np.pi * frequency * t) ** 2
    return np.asarray((1 - 2 * a) * np.exp(-a))


def ricker_slope(t: Array, frequency: float) -> Array:
    """w′(t)."""
    a = (np.pi * frequency * t) ** 2
    return np.asarray(2 * (np.pi * frequency) ** 2 * t * (2 * a - 3) * np.exp(-a))


@dataclass(frozen=True)
class Pulse:
    """The wavelet of peak one at the steps of a run.

    Attributes:
        frequency: f, Hz.
        peak: when it is there without a shift, s.
        dt: time step, s.
    """

    frequency: float
    peak: float
    dt: float

    def times(self, steps: int) -> Array:
        """Those of the steps, s."""
        return np.asarray(self.dt * np.arange(steps))

    def _since(self, steps: int, shift: float) -> Array:
        return np.asarray(np.arange(steps) * self.dt - (self.peak + shift))

    def __call__(self, steps: int, shift: float) -> Array:
        """w at each step."""
        return ricker(self._since(steps, shift), self.frequency)

    def slope(self, steps: int, shift: float) -> Array:
        """Its derivative by the shift."""
        return -ricker_slope(self._since(steps, shift), self.frequency)
