"""The Ricker wavelet, the second derivative of a Gaussian (Ricker 1953)."""

from __future__ import annotations

import numpy as np

from pdeinv.typing import Array

__all__ = ["ricker", "ricker_slope"]


def ricker(t: Array, frequency: float) -> Array:
    """w(t) = (1 − 2a) exp(−a), a = (π f t)², of peak 1 at t = 0."""
    a = (np.pi * frequency * t) ** 2
    return np.asarray((1 - 2 * a) * np.exp(-a))


def ricker_slope(t: Array, frequency: float) -> Array:
    """w′(t)."""
    a = (np.pi * frequency * t) ** 2
    return np.asarray(2 * (np.pi * frequency) ** 2 * t * (2 * a - 3) * np.exp(-a))
