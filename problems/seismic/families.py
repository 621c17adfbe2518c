"""Families of sections of the ground, as laws of their parameters.

They have the shapes and the moments of the families of OpenFWI (Deng et al. 2022), whose generator
was never released: flat, curved and faulted layers, A with velocities that increase downwards, B
with velocities in any order. Laws and parameters are our own; ``mean`` and ``std`` of a layer's
velocity are such that all values of many sections together have the published mean and standard
deviation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import betaincinv

from pdeinv.typing import Array

from .marmousi import Basins
from .strata import Bend, Fault, Section

__all__ = ["FAMILIES", "LAYERED", "STYLES", "Family", "Style"]

MOST = 5
"""Layers."""
THINNEST = 0.08
"""Thickness of a layer at least, as a part of the depth."""
LOW, HIGH = 1500.0, 4500.0
"""The velocities, m s-1, to which ``mean`` and ``std`` refer."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """The law of a section; every number uniform in its range, signs even.

    Attributes:
        mean: of the velocity of a layer, m s-1.
        std: its standard deviation; the law is a beta law on [LOW, HIGH].
        ordered: whether velocities increase downwards.
        layers: how many.
        amplitude: of the curve, as a part of the depth.
        waves: of the curve, across the section.
        growth: of the curve with depth.
        dip: slope of all layers, degrees.
        faults: how many.
        throw: as a part of the depth.
        lean: of faults from the vertical, degrees.
    """

    mean: float
    std: float
    ordered: bool
    layers: tuple[int, int] = (2, MOST)
    amplitude: Range = (0.0, 0.0)
    waves: Range = (0.5, 1.5)
    growth: Range = (0.0, 0.0)
    dip: Range = (0.0, 0.0)
    faults: tuple[int, int] = (0, 0)
    throw: Range = (0.0, 0.0)
    lean: Range = (10.0, 35.0)

    @property
    def dim(self) -> int:
        """Uniform numbers that a section takes."""
        return 1 + 2 * MOST + 5 + 1 + 3 * self.faults[1]

    def section(self, u: Array, lengths: Range, ends: Range = (LOW, HIGH)) -> Section:
        """The section of numbers u (dim,), each uniform on (0, 1).

        Args:
            u: number of layers; shares of thickness; velocities; dip, amplitude, waves, phase and
                growth; number of faults; place, lean and throw of each.
            lengths: width and depth, m.
            ends: lowest and highest velocity, m s-1.
        """
        first, shares, speeds, curve, number, faults = np.split(u, np.cumsum([1, MOST, MOST, 5, 1]))
        n = _count(self.layers, first[0])
        throws = faults.reshape(-1, 3)[: _count(self.faults, number[0])]
        return Section(
            lengths,
            lengths[1] * _edges(shares[:n]),
            ends[0] + (ends[1] - ends[0]) * self._speeds(speeds[:n]),
            self._bend(curve, lengths[1]),
            tuple(self._fault(row, lengths) for row in throws),
        )

    def _speeds(self, u: Array) -> Array:
        """Velocities of layers on [0, 1], from the top."""
        a, b = beta((self.mean - LOW) / (HIGH - LOW), self.std / (HIGH - LOW))
        found = betaincinv(a, b, u)
        return np.sort(found) if self.ordered else np.asarray(found)

    def _bend(self, u: Array, depth: float) -> Bend:
        return Bend(
            amplitude=depth * _within(self.amplitude, u[1]),
            waves=_within(self.waves, u[2]),
            phase=float(u[3]),
            growth=_within(self.growth, u[4]),
            slope=float(np.tan(np.radians(_either(self.dip, u[0])))),
        )

    def _fault(self, u: Array, lengths: Range) -> Fault:
        """Its middle is away from the sides of the section."""
        lean = float(np.tan(np.radians(_either(self.lean, u[1]))))
        return Fault(
            lengths[0] * _within((0.2, 0.8), u[0]), lean, lengths[1] * _either(self.throw, u[2])
        )


def beta(mean: float, std: float) -> tuple[float, float]:
    """The parameters a, b of the beta law on [0, 1] with a mean and standard deviation."""
    size = mean * (1 - mean) / std**2 - 1
    return mean * size, (1 - mean) * size


def _count(ends: tuple[int, int], u: float) -> int:
    """One of the whole numbers between the ends, all as probable."""
    return min(int(ends[0] + (ends[1] - ends[0] + 1) * u), ends[1])


def _within(ends: Range, u: float) -> float:
    return float(ends[0] + (ends[1] - ends[0]) * u)


def _either(ends: Range, u: float) -> float:
    """A size in the range with either sign."""
    side = 2 * u - 1
    return float(np.copysign(_within(ends, abs(side)), side))


def _edges(u: Array) -> Array:
    """Interfaces on [0, 1]: thicknesses above the least one are uniform on the simplex.

    The expected thickness is that of every layer alike, so that ordered velocities have the same
    law over the section as unordered ones.
    """
    weights = -np.log(u)
    shares = THINNEST + (1 - THINNEST * len(u)) * weights / weights.sum()
    return np.cumsum(shares)[:-1]


_FAULTED = partial(
    Family, ordered=True, layers=(3, MOST), dip=(0.0, 8.0), faults=(1, 1), throw=(0.06, 0.16)
)
_BROKEN = partial(
    Family, ordered=False, layers=(3, MOST), dip=(0.0, 12.0), faults=(2, 3), throw=(0.1, 0.25)
)
_BENT, _FOLDED = (0.03, 0.08), (0.06, 0.14)
_SWING = (-0.8, 0.8)

LAYERED: Mapping[str, Family] = {
    "flatvel-a": Family(2782.0, 786.0, True),
    "flatvel-b": Family(3001.0, 867.0, False),
    "curvevel-a": Family(2788.0, 794.0, True, amplitude=_BENT, growth=_SWING),
    "curvevel-b": Family(3001.0, 865.0, False, amplitude=_FOLDED, growth=_SWING),
    "flatfault-a": _FAULTED(3089.0, 855.0),
    "flatfault-b": _BROKEN(3055.0, 876.0),
    "curvefault-a": _FAULTED(3083.0, 852.0, amplitude=_BENT, growth=_SWING),
    "curvefault-b": _BROKEN(3036.0, 890.0, amplitude=_FOLDED, growth=_SWING),
}
"""By name, those of OpenFWI."""

FAMILIES: Mapping[str, Family | Basins] = {**LAYERED, "marmousi-like": Basins()}
"""All laws of sections by name."""


@dataclass(frozen=True)
class Style:
    """The law of a smooth field, v = low + (high − low) Φ(x).

    Attributes:
        mean: of the Gaussian field x, which with ``std`` gives the published moments.
        std: of x.
        length: correlation length, as a part of the depth.
        smoothness: Matérn ν of x.
        modes: of its expansion; None: all that there are on the grid.
    """

    mean: float
    std: float
    length: float
    smoothness: float
    modes: int | None

    def field(self, depth: float) -> dict[str, Any]:
        """As keys of a field's table."""
        return {
            "mean": self.mean,
            "std": self.std,
            "length": self.length * depth,
            "smoothness": self.smoothness,
            **({"representation": "fft"} if self.modes is None else {"modes": self.modes}),
        }


STYLES: Mapping[str, Style] = {
    "style-a": Style(-0.2766, 0.6834, 0.2, 2.5, 200),
    "style-b": Style(-0.1616, 0.6311, 0.08, 1.5, None),
}
"""By name: A is smoother than B, as the images are from which the published ones were made."""
