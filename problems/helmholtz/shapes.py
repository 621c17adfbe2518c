"""Unknowns of few numbers: Gaussian bumps and discs of constant contrast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.field_prior import uniform_prior
from pdeinv.bayes.prior import FieldPrior
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .config import Bumps, HelmholtzConfig, Inclusions

__all__ = ["ShapeMap", "shape_map", "shape_prior"]


def shape_prior(config: HelmholtzConfig, shapes: Bumps | Inclusions) -> FieldPrior:
    """Independent uniform amplitude, centre and size of every shape."""
    x0, x1, y0, y1 = config.box
    length = config.units.coordinate
    size = shapes.width if isinstance(shapes, Bumps) else shapes.radius
    ranges = {
        "amplitude": (shapes.amplitude, "1", "contrast at the centre"),
        "centre_x": ((x0, x1), length, "x of the centre"),
        "centre_y": ((y0, y1), length, "y of the centre"),
        "size": (size, length, "width" if isinstance(shapes, Bumps) else "radius"),
    }
    variables = tuple(
        Variable(name, ("shape",), (shapes.count,), units, text)
        for name, (_, units, text) in ranges.items()
    )
    low, high = (
        np.repeat([r[0][i] for r in ranges.values()], shapes.count).astype(np.float64)
        for i in range(2)
    )
    return uniform_prior(Space(variables), low, high)


@dataclass(frozen=True)
class ShapeMap:
    """q = taper Σ a g(|x − c|, s) for bumps or inclusions.

    Attributes:
        points: shape (n, 2).
        taper: shape (n,).
        profile: (r, s) to g, ∂g/∂r and ∂g/∂s.
    """

    points: Array
    taper: Array
    profile: Callable[[Array, Array], tuple[Array, Array, Array]]

    def _parts(self, m: Array) -> tuple[Array, ...]:
        a, x, y, s = m.reshape(4, -1)
        dx, dy = (self.points[:, [i]] - c for i, c in enumerate((x, y)))
        r = np.sqrt(dx**2 + dy**2)
        g, g_r, g_s = self.profile(r, s)
        # the slope is zero at the centre itself, where the direction is undefined
        lean = a * g_r / np.maximum(r, 1e-300)
        return tuple(self.taper[:, None] * t for t in (g, -lean * dx, -lean * dy, a * g_s))

    def __call__(self, m: Array) -> Array:
        """The sum of the shapes."""
        return np.asarray(self._parts(m)[0] @ m.reshape(4, -1)[0])

    def jvp(self, m: Array, dm: Array) -> Array:
        """The derivative along dm."""
        pairs = zip(self._parts(m), dm.reshape(4, -1), strict=True)
        return np.asarray(sum(part @ d for part, d in pairs))

    def vjp(self, m: Array, w: Array) -> Array:
        """Its transpose on w."""
        return np.concatenate([part.T @ w for part in self._parts(m)])


def _bump(r: Array, s: Array) -> tuple[Array, Array, Array]:
    g = np.exp(-0.5 * (r / s) ** 2)
    return g, -g * r / s**2, g * r**2 / s**3


def _disc(edge: float) -> Callable[[Array, Array], tuple[Array, Array, Array]]:
    def profile(r: Array, s: Array) -> tuple[Array, Array, Array]:
        t = np.tanh((r - s) / edge)
        slope = -0.5 * (1 - t**2) / edge
        return 0.5 * (1 - t), slope, -slope

    return profile


def shape_map(shapes: Bumps | Inclusions, points: Array, taper: Array) -> ShapeMap:
    """The contrast of a number of shapes at points (n, 2)."""
    profile = _bump if isinstance(shapes, Bumps) else _disc(shapes.edge)
    return ShapeMap(points, taper, profile)
