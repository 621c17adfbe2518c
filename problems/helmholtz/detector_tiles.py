"""What receivers measure of a tile of waves: tables (receivers, waves, 2, width)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pdeinv.fem.complex_product import ComplexProduct
from pdeinv.fem.surroundings import Inner
from pdeinv.fem.wave_tiles import PointTiles, Wave, each_wave, parts_of
from pdeinv.typing import Array

from .detectors import Detector, Integral, NearField

__all__ = ["DetectorTiles", "detector_tiles"]


class DetectorTiles(Protocol):
    """What :class:`problems.helmholtz.detectors.Detector` is, for tiles."""

    def data(self, wave: Wave, q: Array, /) -> Array:
        """D."""

    def tangent(self, du: Array, wave: Wave, q: Array, dq: Array, /) -> Array:
        """dD."""

    def load(self, c: Array, q: Array, /) -> Array:
        """The right-hand side of the adjoint equation for weights c."""

    def direct(self, c: Array, wave: Wave, /) -> Array | float:
        """The derivative of Re Σ c D with respect to q at fixed u, (points, width)."""


class NearTiles:
    """D = B u + d₀, u around the contrast being what it is by the wave there.

    Args:
        near: of one unknown.
        inner: where waves are solved for.
    """

    def __init__(self, near: NearField, inner: Inner) -> None:
        reading = inner.reading(near.matrix)
        self._ahead, self._back = ComplexProduct(reading), ComplexProduct(reading.T)
        self._offset = parts_of(near.offset)

    def data(self, wave: Wave, _q: Array) -> Array:
        """B u + d₀."""
        return self._ahead.tile(wave.u) + self._offset

    def tangent(self, du: Array, _wave: Wave, _q: Array, _dq: Array) -> Array:
        """B du."""
        return self._ahead.tile(du)

    def load(self, c: Array, _q: Array) -> Array:
        """Bᵀ c."""
        return self._back.tile(c)

    def direct(self, _c: Array, _wave: Wave) -> float:
        """Zero: q does not enter."""
        return 0.0


class IntegralTiles:
    """D = F (q t) + d₀.

    Args:
        integral: of one unknown.
        points: the rule of the contrast.
    """

    def __init__(self, integral: Integral, points: PointTiles) -> None:
        self._points, self._offset = points, parts_of(integral.offset)
        self._ahead = ComplexProduct(integral.kernel)
        self._back = ComplexProduct(np.ascontiguousarray(integral.kernel.T))

    def data(self, wave: Wave, q: Array) -> Array:
        """F (q t) + d₀."""
        ahead, beside = self._ahead, q[:, None]
        found = each_wave(wave.waves, lambda k: ahead.tile(beside * wave.total(k)))
        return found + self._offset

    def tangent(self, du: Array, wave: Wave, q: Array, dq: Array) -> Array:
        """F (dq t + q dt)."""
        ahead, values = self._ahead, self._points.values

        def work(k: int) -> Array:
            return ahead.tile(dq[:, None] * wave.total(k) + q[:, None] * values.tile(du[:, k]))

        return each_wave(wave.waves, work)

    def load(self, c: Array, q: Array) -> Array:
        """Eᵀ (q Fᵀ c)."""
        back, loads, beside = self._back, self._points.loads, q[:, None]
        return each_wave(c.shape[1], lambda k: loads.tile(beside * back.tile(c[:, k])))

    def direct(self, c: Array, wave: Wave) -> Array:
        """Re Σ t Fᵀ c."""
        return wave.overlap(lambda k: self._back.tile(c[:, k]))


def detector_tiles(detector: Detector, inner: Inner, points: PointTiles) -> DetectorTiles:
    """The same detector for tiles.

    Raises:
        TypeError: a detector of another kind.
    """
    match detector:
        case NearField():
            return NearTiles(detector, inner)
        case Integral():
            return IntegralTiles(detector, points)
    raise TypeError(f"no detector for tiles like {type(detector).__name__}")
