"""How far from its samples a learned map is read: beyond that it stays level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

from ..common.scaling import Standard

__all__ = ["Reach"]

INNER, OUTER = 4.0, 6.0
"""In standard deviations of the samples: as it is up to the first, level beyond about the second.

A map with squares in it has no bound. Far from its samples it can bend any prediction onto the
data, which makes modes of the surrogate's posterior that are not there."""


@dataclass(frozen=True)
class Reach:
    """z = s((x - mean) / std), component by component; s(t) is t up to 4, and at most 6.

    Beyond 4 it is 4 + 2 tanh((t - 4) / 2), which has the same two derivatives there.

    Attributes:
        scale: mean and std of the samples.
    """

    scale: Standard

    def __call__(self, x: Array) -> Array:
        """Scaled values of (..., n)."""
        t = self.scale(x)
        return _level(t, _bend(t))

    def linearize(self, x: Array) -> tuple[Array, Array]:
        """z and dz/dx of each component, both of the shape of ``x``."""
        t = self.scale(x)
        bend = _bend(t)
        return _level(t, bend), np.asarray((1 - bend**2) / self.scale.std)

    def held(self, x: Array) -> Array:
        """The values of (..., n) that are read in the place of ``x``."""
        return np.asarray(self.scale.mean + self.scale.std * self(x))


def _bend(t: Array) -> Array:
    """How much of the way from ``INNER`` to ``OUTER`` is gone, 0 up to the first."""
    return np.asarray(np.tanh(np.maximum(np.abs(t) - INNER, 0) / (OUTER - INNER)))


def _level(t: Array, bend: Array) -> Array:
    return np.asarray(np.clip(t, -INNER, INNER) + np.sign(t) * (OUTER - INNER) * bend)
