"""Basins in the manner of the Marmousi model (Versteeg 1994): not its data, our own formula.

Water over beds that are folded and cut by growth faults; below an unconformity older beds with
steeper dips and higher velocities. Velocities grow with depth within all beds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

from .strata import Bend, Fault, Section

__all__ = ["Basin", "Basins"]

BEDS, OLD, FAULTS = 14, 6, 4
"""Beds above and below the unconformity, and faults."""
WATER = (0.05, 0.08)
"""Depth of the sea, as a part of the depth."""
TOP, MIDDLE, BOTTOM = 0.06, 0.42, 0.75
"""Velocities of the first bed, of the last one above the unconformity and of the last one, as parts
of the way from the lowest velocity to the highest."""
JITTER = 0.16
"""By how much the velocity of a bed differs from the trend at most, in the same parts."""
GRADIENT = 0.2
"""Growth of the velocity over the whole depth within one bed, in the same parts."""


@dataclass(frozen=True)
class Basin:
    """A section with water, beds and older beds.

    Attributes:
        young: beds above the unconformity.
        old: beds below it.
        cut: stratigraphic depth of the unconformity among the young beds, m.
        sea: depth of the water, m.
        ends: lowest and highest velocity, m s-1.
    """

    young: Section
    old: Section
    cut: float
    sea: float
    ends: tuple[float, float]

    def velocity(self, x: Array, z: Array) -> Array:
        """v at places, m s-1."""
        x, z = np.broadcast_arrays(x, z)
        below = self.young.stratum(x, z) > self.cut
        beds = np.where(below, self.old.velocity(x, z), self.young.velocity(x, z))
        low, high = self.ends
        found = beds + GRADIENT * (high - low) * z / self.young.lengths[1]
        return np.where(z < self.sea, low, np.clip(found, low, high))


@dataclass(frozen=True)
class Basins:
    """The law of a basin; every number uniform in its range."""

    @property
    def dim(self) -> int:
        """Uniform numbers that a basin takes."""
        return 2 + 2 * BEDS + 2 * OLD + 7 + 3 * FAULTS

    def section(self, u: Array, lengths: tuple[float, float], ends: tuple[float, float]) -> Basin:
        """The basin of numbers u (dim,), each uniform on (0, 1)."""
        cuts = np.cumsum([2, BEDS, BEDS, OLD, OLD, 3, 4])
        first, thick, speed, old_thick, old_speed, bend, old_bend, faults = np.split(u, cuts)
        depth, (low, high) = lengths[1], ends
        cut = depth * (0.55 + 0.15 * first[1])
        young, old = (
            low + (high - low) * s
            for s in (_trend(TOP, MIDDLE, speed), _trend(MIDDLE, BOTTOM, old_speed))
        )
        over = Bend(
            amplitude=depth * (0.03 + 0.04 * bend[0]),
            waves=0.8 + 0.8 * bend[1],
            phase=float(bend[2]),
            growth=0.8,
            slope=0.05,
        )
        under = Bend(
            amplitude=depth * (0.06 + 0.06 * old_bend[0]),
            waves=1.0 + old_bend[1],
            phase=float(old_bend[2]),
            slope=0.2 + 0.1 * float(old_bend[3]),
        )
        rows = faults.reshape(FAULTS, 3)
        cuts_of = tuple(_growth_fault(k, row, lengths) for k, row in enumerate(rows))
        return Basin(
            Section(lengths, cut * _edges(thick), young, over, cuts_of),
            Section(lengths, depth * (0.4 + 0.8 * _edges(old_thick)), old, under),
            cut,
            depth * (WATER[0] + (WATER[1] - WATER[0]) * float(first[0])),
            ends,
        )


def _trend(begin: float, end: float, u: Array) -> Array:
    """Velocities from bed to bed: a trend, and faster and slower beds by turns."""
    turns = np.where(np.arange(len(u)) % 2, -0.3, 0.7)
    return np.linspace(begin, end, len(u)) + JITTER * turns * u


def _edges(u: Array) -> Array:
    """Interfaces on [0, 1] of beds, of which the thickest is up to three times the thinnest."""
    shares = 0.5 + u
    return np.cumsum(shares / shares.sum())[:-1]


def _growth_fault(k: int, u: Array, lengths: tuple[float, float]) -> Fault:
    """One of several side by side, all of which lean and throw to the same side."""
    width, depth = lengths
    x = width * (0.25 + 0.5 * (k + float(u[0])) / FAULTS)
    return Fault(x, float(np.tan(np.radians(20 + 20 * u[1]))), depth * (0.02 + 0.05 * float(u[2])))
