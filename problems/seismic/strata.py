"""A section of the ground in closed form: layers that are bent, tilted and cut by faults.

A place (x, z), z its depth, belongs to a stratigraphic depth d, and that to a layer. Without faults

    z = d + s (x − L/2) + a c(x) (1 + g (d/D − ½)),   c(x) = sin(2π (k x/L + φ)),

L and D the width and depth of the section, s the slope, a the amplitude, k the number of waves, g
how much they grow with depth; |a g| < D keeps interfaces from crossing. A fault is a line, on
either side of which the ground has moved along z by half a throw, up or down; the last one has
moved the others as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Bend", "Fault", "Section"]


@dataclass(frozen=True)
class Bend:
    """The curve that all interfaces share.

    Attributes:
        amplitude: a, m.
        waves: k, across the section.
        phase: φ in periods.
        growth: g.
        slope: s, dz/dx.
    """

    amplitude: float = 0.0
    waves: float = 1.0
    phase: float = 0.0
    growth: float = 0.0
    slope: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A straight fault.

    Attributes:
        x: where it is at half the depth of the section, m.
        lean: horizontal distance per depth along it; 0 is upright.
        throw: by how much the ground right of it lies deeper than that left of it, m.
    """

    x: float
    lean: float
    throw: float

    def shift(self, x: Array, z: Array, depth: float) -> Array:
        """By how much each place has moved down, m."""
        right = x > self.x + self.lean * (z - depth / 2)
        return np.where(right, 0.5, -0.5) * self.throw


@dataclass(frozen=True)
class Section:
    """Layers with constant velocities.

    Attributes:
        lengths: width L and depth D, m.
        edges: stratigraphic depths of the interfaces, increasing, m.
        velocities: of the layers from the top, m s-1, one more than edges.
        bend: of the interfaces.
        faults: the oldest one first.
    """

    lengths: tuple[float, float]
    edges: Array
    velocities: Array
    bend: Bend = Bend()
    faults: tuple[Fault, ...] = ()

    def stratum(self, x: Array, z: Array) -> Array:
        """The stratigraphic depth d of places, m, of the shape of x and z together."""
        (width, depth), bend = self.lengths, self.bend
        x, z = np.broadcast_arrays(x, z)
        for fault in reversed(self.faults):
            z = z - fault.shift(x, z, depth)
        curve = bend.amplitude * np.sin(2 * np.pi * (bend.waves * x / width + bend.phase))
        z = z - bend.slope * (x - width / 2) - curve * (1 - bend.growth / 2)
        return np.asarray(z / (1 + curve * bend.growth / depth))

    def velocity(self, x: Array, z: Array) -> Array:
        """v at places, m s-1; an interface belongs to the layer below it."""
        layer = np.searchsorted(self.edges, self.stratum(x, z), side="right")
        return np.asarray(self.velocities[layer])
