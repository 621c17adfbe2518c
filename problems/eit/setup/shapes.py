"""Conductivities of few numbers: ellipses in a constant background, and hearts with lungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.field_prior import uniform_prior
from pdeinv.bayes.prior import FieldPrior
from pdeinv.config import Config, Few, Positive, PositiveRange, Range
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["EllipseMap", "EllipsesConfig", "HeartAndLungsConfig", "ellipse_map", "shape_prior"]


_PARTS = 6
"""Numbers per ellipse: conductivity, centre, half axes, tilt."""


class _Inclusions(Config):
    background: Positive = Field(1.0, description="conductivity around them, S m-1")
    edge: Positive = Field(
        0.08, description="half width over which ln σ changes, as a share of the half axes"
    )


class EllipsesConfig(_Inclusions):
    """ln σ = ln b + Σ ln(c/b) ½(1 − tanh((ρ − 1)/edge)), ρ the ellipse's own radius."""

    kind: Literal["ellipses"] = "ellipses"
    count: Few = Field(2, description="how many")
    conductivity: PositiveRange = Field((0.2, 5.0), description="range of c in S m-1")
    reach: float = Field(
        0.6, gt=0, le=1, description="centres lie within this share of the half widths of the body"
    )
    axes: PositiveRange = Field(
        (0.1, 0.4), description="range of the half axes, as a share of the half width along x"
    )
    tilt: Range = Field((0.0, 180.0), description="range of the tilt in degrees")


class HeartAndLungsConfig(_Inclusions):
    """Three ellipses of a chest with jittered conductivity, place, size and tilt."""

    kind: Literal["heart-and-lungs"] = "heart-and-lungs"
    heart: PositiveRange = Field((1.5, 2.5), description="range of the heart's conductivity, S m-1")
    lungs: PositiveRange = Field((0.4, 0.9), description="range of each lung's conductivity, S m-1")
    jitter: float = Field(
        0.08, gt=0, lt=0.5, description="largest shift of a centre, as a share of the half width"
    )
    scaling: float = Field(0.2, gt=0, lt=1, description="largest relative change of a half axis")


_ORGANS = (
    # centre x, y and half axes in half widths of the body, tilt in degrees
    (-0.10, 0.42, 0.22, 0.26, 10.0),
    (-0.45, -0.08, 0.24, 0.46, 12.0),
    (0.45, -0.08, 0.24, 0.46, -12.0),
)


def _ranges(config: EllipsesConfig | HeartAndLungsConfig, half: tuple[float, float]) -> Array:
    """Low and high of every number, shape (2, _PARTS, count)."""
    a, b = half
    if isinstance(config, EllipsesConfig):
        x, y = config.reach * a, config.reach * b
        size = (config.axes[0] * a, config.axes[1] * a)
        one = np.array([config.conductivity, (-x, x), (-y, y), size, size, config.tilt])
        return np.repeat(one.T[:, :, None], config.count, axis=2)
    j, s, tilt = config.jitter, config.scaling, 20.0
    laws = (config.heart, config.lungs, config.lungs)
    columns = [
        [
            law,
            ((x - j) * a, (x + j) * a),
            ((y - j) * b, (y + j) * b),
            ((1 - s) * p * a, (1 + s) * p * a),
            ((1 - s) * q * b, (1 + s) * q * b),
            (t - tilt, t + tilt),
        ]
        for law, (x, y, p, q, t) in zip(laws, _ORGANS, strict=True)
    ]
    return np.array(columns).transpose(2, 1, 0)


def shape_prior(
    config: EllipsesConfig | HeartAndLungsConfig, half: tuple[float, float]
) -> FieldPrior:
    """Independent uniform numbers of every ellipse.

    Args:
        config: which ellipses.
        half: half widths of the body along x and y.
    """
    low, high = _ranges(config, half)
    labels = {
        "ellipse_conductivity": ("S m-1", "conductivity of an ellipse"),
        "centre_x": ("m", "x of its centre"),
        "centre_y": ("m", "y of its centre"),
        "half_axis_1": ("m", "half axis along the tilt"),
        "half_axis_2": ("m", "half axis across the tilt"),
        "tilt": ("degree", "tilt of the first half axis"),
    }
    count = low.shape[1]
    variables = tuple(
        Variable(name, ("ellipse",), (count,), units, text)
        for name, (units, text) in labels.items()
    )
    return uniform_prior(Space(variables), low.ravel(), high.ravel())


@dataclass(frozen=True)
class EllipseMap:
    """ln σ = ln b + Σ ln(c/b) g(ρ) with g(ρ) = ½(1 − tanh((ρ − 1)/edge)), smooth and positive.

    Attributes:
        points: shape (n, 2).
        background: b.
        edge: relative half width of the edge.
    """

    points: Array
    background: float
    edge: float

    def _parts(self, m: Array) -> tuple[Array, Array]:
        """σ (n,) and d ln σ of every number, shape (_PARTS, n, count)."""
        c, x, y, p, q, tilt = m.reshape(_PARTS, -1)
        t = np.deg2rad(tilt)
        dx, dy = self.points[:, [0]] - x, self.points[:, [1]] - y
        along = np.cos(t) * dx + np.sin(t) * dy
        across = -np.sin(t) * dx + np.cos(t) * dy
        rho = np.hypot(along / p, across / q)
        th = np.tanh((rho - 1) / self.edge)
        g, slope = 0.5 * (1 - th), -0.5 * (1 - th**2) / self.edge
        with np.errstate(invalid="ignore", divide="ignore"):
            contrast = np.log(c / self.background)  # NaN, which the model refuses, where c < 0
        # ρ has no slope at the centre itself, where g is flat anyway
        lean = contrast * slope / np.maximum(rho, 1e-300)
        u, v = along / p**2, across / q**2
        parts = np.stack([
            g / c,
            -lean * (u * np.cos(t) - v * np.sin(t)),
            -lean * (u * np.sin(t) + v * np.cos(t)),
            -lean * along * u / p,
            -lean * across * v / q,
            lean * (u * across - v * along) * np.pi / 180,
        ])  # fmt: skip
        return self.background * np.exp(g @ contrast), parts

    def __call__(self, m: Array) -> Array:
        """σ at the points."""
        return self._parts(m)[0]

    def jvp(self, m: Array, dm: Array) -> Array:
        """The derivative along dm."""
        sigma, parts = self._parts(m)
        return np.asarray(sigma * np.einsum("kni,ki->n", parts, dm.reshape(_PARTS, -1)))

    def vjp(self, m: Array, w: Array) -> Array:
        """Its transpose on w."""
        sigma, parts = self._parts(m)
        return np.asarray(np.einsum("kni,n->ki", parts, sigma * w)).ravel()


def ellipse_map(config: EllipsesConfig | HeartAndLungsConfig, points: Array) -> EllipseMap:
    """σ of a number of ellipses at points (n, 2 or 3); over z they are cylinders."""
    return EllipseMap(points[:, :2], config.background, config.edge)
