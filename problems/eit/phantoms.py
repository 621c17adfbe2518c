"""Made-up bodies with sharp inclusions: tanks as in the challenges, and hearts with lungs.

A phantom is a function of place, so that every mesh, grid and image sees the same one. Draws are
seeded; nothing is taken from published data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .ktc import CONDUCTIVE, RESISTIVE, WATER

__all__ = [
    "PHANTOMS",
    "Ellipse",
    "Phantom",
    "Polygon",
    "heart_and_lungs",
    "phantom",
    "tank",
    "unknown",
]

MAX_TRIES = 200
"""Attempts to place inclusions apart before they are drawn again, smaller."""


class Shape(Protocol):
    """A closed region of the plane."""

    def contains(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (..., 2) lie inside, shape (...)."""


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Attributes:
        centre: x and y.
        axes: half axes.
        tilt: of the first half axis against x, in radians.
    """

    centre: tuple[float, float]
    axes: tuple[float, float]
    tilt: float = 0.0

    def contains(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (..., 2) lie inside."""
        dx, dy = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        along, across = (c * dx + s * dy) / self.axes[0], (c * dy - s * dx) / self.axes[1]
        return np.asarray(along**2 + across**2 <= 1)


@dataclass(frozen=True)
class Polygon:
    """A polygon, convex or not.

    Attributes:
        corners: in order, shape (n, 2).
    """

    corners: Array

    def contains(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (..., 2) lie inside: an odd number of edges lies to their right."""
        x, y = points[..., 0], points[..., 1]
        odd = np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True):
            crosses = (ay > y) != (by > y)
            with np.errstate(divide="ignore", invalid="ignore"):
                right = x < ax + (y - ay) * (bx - ax) / (by - ay)
            odd ^= crosses & right
        return odd


@dataclass(frozen=True)
class Phantom:
    """A background with inclusions; where two overlap the later one holds.

    Attributes:
        background: conductivity, S/m.
        inclusions: shapes with their conductivities.
    """

    background: float
    inclusions: tuple[tuple[Shape, float], ...] = ()

    def at(self, points: Array) -> Array:
        """The conductivity at points (..., 2), shape (...)."""
        found = np.full(points.shape[:-1], self.background)
        for shape, value in self.inclusions:
            found[shape.contains(points)] = value
        return found

    def labels(self, points: Array) -> NDArray[np.int64]:
        """0 water, 1 resistive, 2 conductive at points (..., 2), shape (...)."""
        value = self.at(points)
        kinds = [value < self.background, value > self.background]
        return np.select(kinds, [RESISTIVE, CONDUCTIVE], WATER).astype(np.int64)


def tank(rng: np.random.Generator, radius: float) -> Phantom:
    """One to four resistive or conductive objects in a saline tank, apart from each other.

    Ellipses, triangles to hexagons and bars, each 9 to 25 % of the radius in size; at least one is
    there, conductivities are 2 to 10 % and 5 to 20 times that of the water.
    """
    count = int(rng.integers(1, 5))
    size = rng.uniform(0.13, 0.3, count) * radius
    places = _apart(rng, radius, size)
    inclusions = []
    for centre, reach in zip(places, size, strict=True):
        factor = rng.uniform(0.02, 0.1) if rng.random() < 0.5 else rng.uniform(5.0, 20.0)
        inclusions.append((_object(rng, centre, float(reach)), float(factor)))
    background = float(rng.uniform(0.6, 1.2))
    return Phantom(background, tuple((shape, background * f) for shape, f in inclusions))


def _apart(rng: np.random.Generator, radius: float, size: Array) -> Array:
    """Centres whose discs neither meet each other nor come within 5 % of the rim."""
    shrink = 1.0
    while True:
        for _ in range(MAX_TRIES):
            angle = rng.uniform(0, 2 * np.pi, len(size))
            r = np.sqrt(rng.uniform(size=len(size))) * (0.95 * radius - size)
            centres = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
            gap = np.linalg.norm(centres[:, None] - centres[None], axis=2)
            clear = gap - shrink * (size[:, None] + size[None])
            if (clear[np.triu_indices(len(size), k=1)] > 0).all():
                return centres
        shrink *= 0.9


def _object(rng: np.random.Generator, centre: Array, reach: float) -> Shape:
    """Some object within a disc."""
    kind, tilt = int(rng.integers(3)), float(rng.uniform(0, 2 * np.pi))
    x, y = float(centre[0]), float(centre[1])
    if kind == 0:
        return Ellipse((x, y), (reach, reach * float(rng.uniform(0.5, 1.0))), tilt)
    if kind == 1:
        count = int(rng.integers(3, 7))
        steps = 2 * np.pi * (np.arange(count) + rng.uniform(-0.2, 0.2, count)) / count
        r = reach * rng.uniform(0.7, 1.0, count)
    else:
        half = float(rng.uniform(0.3, 0.7))
        steps, r = np.array([half, np.pi - half, np.pi + half, -half]), np.full(4, reach)
    corners = np.stack([r * np.cos(steps + tilt), r * np.sin(steps + tilt)], axis=1)
    return Polygon(centre + corners)


def heart_and_lungs(rng: np.random.Generator, radius: float) -> Phantom:
    """A chest as in Mueller and Siltanen (2003): heart of 2 and lungs of 0.7 in a background of 1.

    Conductivities, centres, half axes and tilts are jittered by up to 25 %, 6 % of the radius, 15 %
    and 10°.
    """
    organs = []
    for value, (x, y), axes, tilt in (
        (0.7, (-0.47, -0.05), (0.26, 0.48), 10.0),
        (0.7, (0.47, -0.05), (0.26, 0.48), -10.0),
        (2.0, (-0.08, 0.42), (0.24, 0.21), 0.0),
    ):
        shift = rng.uniform(-0.06, 0.06, 2)
        scale = rng.uniform(0.85, 1.15, 2)
        angle = np.deg2rad(tilt + rng.uniform(-10.0, 10.0))
        shape = Ellipse(
            (radius * (x + float(shift[0])), radius * (y + float(shift[1]))),
            (radius * axes[0] * float(scale[0]), radius * axes[1] * float(scale[1])),
            float(angle),
        )
        organs.append((shape, value * float(rng.uniform(0.75, 1.25))))
    return Phantom(1.0, tuple(organs))


PHANTOMS: Mapping[str, Callable[[np.random.Generator, float], Phantom]] = {
    "tank": tank,
    "heart-and-lungs": heart_and_lungs,
}
"""By name; each takes a random generator and the radius of the body in m."""


def phantom(name: str, rng: np.random.Generator, radius: float) -> Phantom:
    """A phantom by name.

    Raises:
        ConfigError: there is no such phantom.
    """
    if name not in PHANTOMS:
        raise ConfigError(f"unknown phantom '{name}'; known: {', '.join(PHANTOMS)}")
    return PHANTOMS[name](rng, radius)


def unknown(body: Phantom, space: Space) -> Array:
    """The phantom as the unknown of a problem whose conductivity has a value at every place.

    Args:
        body: the phantom.
        space: the unknown's; a variable ``conductivity`` with coordinates x and y on a grid, on
            vertices or on cells.

    Raises:
        ConfigError: the unknown holds something else, such as the numbers of ellipses.
    """
    (variable, *others) = space.variables
    if variable.name != "conductivity" or others or not {"x", "y"} <= set(variable.coords):
        raise ConfigError(
            "a phantom needs an unknown with a conductivity at every place and nothing else; "
            f"got {', '.join(space.names)}; take kind piecewise, elements or log-gaussian"
        )
    return body.at(variable.places[:, :2])
