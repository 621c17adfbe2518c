"""Closed curves around the origin, by arc length: the outlines of plane domains.

Arc length s counts counter-clockwise from where the positive x axis leaves the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pdeinv.typing import Array

__all__ = [
    "Outline",
    "RectangleOutline",
    "StarOutline",
    "disc",
    "distance_along_ray",
    "ellipse",
    "snapped",
    "thorax",
]

_TABLE = 1 << 16
"""Points of the arc-length table; chords of a circle are then short by 4e-10 of its length."""


class Outline(Protocol):
    """A closed curve that every ray from the origin meets once."""

    @property
    def length(self) -> float:
        """The whole arc length."""

    @property
    def corners(self) -> Array:
        """Arc lengths where the tangent jumps; meshes need nodes there."""

    @property
    def half_widths(self) -> tuple[float, float]:
        """The largest |x| and |y|."""

    def at(self, s: Array) -> Array:
        """The points at arc lengths s (n,), shape (n, 2)."""

    def arc_length(self, angle: Array) -> Array:
        """The arc length where the ray of a polar angle (radian) leaves the domain."""

    def radius(self, angle: Array) -> Array:
        """The distance of that place from the origin."""


def _angle(points: Array) -> Array:
    return np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)


def _polar(radius: Array, angle: Array) -> Array:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def snapped(outline: Outline, points: Array) -> Array:
    """Points (n, 2) moved along their rays onto the curve."""
    angle = _angle(points)
    return _polar(outline.radius(angle), angle)


def distance_along_ray(outline: Outline, points: Array) -> Array:
    """How far points (n, 2) lie beyond the curve along their rays, negative inside."""
    return np.asarray(np.hypot(points[:, 0], points[:, 1]) - outline.radius(_angle(points)))


@dataclass(frozen=True)
class StarOutline:
    """A smooth curve r(θ) = scale · shape(θ) in polar coordinates.

    Attributes:
        shape: θ in radian to a positive number about 1, vectorised.
        scale: m.
    """

    shape: Callable[[Array], Array]
    scale: float

    @cached_property
    def _table(self) -> tuple[Array, Array, Array]:
        """Angles, points and arc lengths of a fine polygon, closed, at scale 1.

        Sums of many steps differ with the scale in their last digits; these are the same for all.
        """
        angle = np.linspace(0.0, 2 * np.pi, _TABLE + 1)
        points = _polar(self.shape(angle), angle)
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        return angle, points, np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """The whole arc length."""
        return self.scale * float(self._table[2][-1])

    @property
    def corners(self) -> Array:
        """None."""
        return np.zeros(0)

    @property
    def half_widths(self) -> tuple[float, float]:
        """The largest |x| and |y|."""
        x, y = self.scale * np.abs(self._table[1]).max(axis=0)
        return float(x), float(y)

    def at(self, s: Array) -> Array:
        """The points at arc lengths s."""
        angle, _, lengths = self._table
        theta = np.interp(np.mod(s / self.scale, lengths[-1]), lengths, angle)
        return _polar(self.radius(theta), theta)

    def radius(self, angle: Array) -> Array:
        """The distance of the curve from the origin at a polar angle."""
        return self.scale * self.shape(angle)

    def arc_length(self, angle: Array) -> Array:
        """The arc length at a polar angle."""
        return self.scale * np.interp(np.mod(angle, 2 * np.pi), self._table[0], self._table[2])


@dataclass(frozen=True)
class RectangleOutline:
    """The rectangle |x| ≤ a, |y| ≤ b.

    Attributes:
        half_widths: a and b.
    """

    half_widths: tuple[float, float]

    @property
    def _vertices(self) -> tuple[Array, Array]:
        a, b = self.half_widths
        points = np.array([[a, 0], [a, b], [-a, b], [-a, -b], [a, -b], [a, 0]], dtype=np.float64)
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        return points, np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """The perimeter."""
        return 4 * (self.half_widths[0] + self.half_widths[1])

    @property
    def corners(self) -> Array:
        """Its four corners."""
        return self._vertices[1][1:5]

    def at(self, s: Array) -> Array:
        """The points at arc lengths s."""
        points, lengths = self._vertices
        s = np.mod(s, self.length)
        return np.stack([np.interp(s, lengths, points[:, i]) for i in range(2)], axis=1)

    def radius(self, angle: Array) -> Array:
        """The distance of the side from the origin along a ray."""
        a, b = self.half_widths
        return np.asarray(1 / np.maximum(np.abs(np.cos(angle)) / a, np.abs(np.sin(angle)) / b))

    def arc_length(self, angle: Array) -> Array:
        """The arc length at a polar angle."""
        a, b = self.half_widths
        angle = np.asarray(angle, dtype=np.float64)
        r = self.radius(angle)
        x, y = r * np.cos(angle), r * np.sin(angle)
        right = np.isclose(x, a, rtol=1e-12, atol=0.0)
        sides = [right & (y >= 0), y >= b * (1 - 1e-12), x <= -a * (1 - 1e-12), ~right]
        lengths = [y, b + a - x, b + 2 * a + b - y, 3 * b + 2 * a + a + x]
        return np.asarray(np.select(sides, lengths, 4 * b + 4 * a + y))


def disc(radius: float) -> StarOutline:
    """A circle."""
    return StarOutline(lambda t: np.ones(np.shape(t)), float(radius))


def ellipse(a: float, b: float) -> StarOutline:
    """x²/a² + y²/b² = 1."""
    flat = b / a
    return StarOutline(lambda t: flat / np.hypot(flat * np.cos(t), np.sin(t)), a)


def thorax(radius: float) -> StarOutline:
    """A chest seen from the feet, the sternum at the top.

    r(θ) = R (1 + 0.18 cos 2θ − 0.03 cos 4θ − 0.03 sin θ + 0.03 sin 3θ): 1.4 times as wide as
    deep, flatter at the back than at the front.
    """

    def shape(t: Array) -> Array:
        even = 0.18 * np.cos(2 * t) - 0.03 * np.cos(4 * t)
        return np.asarray(1 + even - 0.03 * np.sin(t) + 0.03 * np.sin(3 * t))

    return StarOutline(shape, radius)
