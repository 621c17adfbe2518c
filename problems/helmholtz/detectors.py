"""From wave fields to what receivers measure, complex, one column per incident wave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1

from pdeinv.fem.high_order import CellRule, HighOrderSpace
from pdeinv.typing import Array

from .config import HelmholtzConfig
from .incident import measured
from .receivers import outward

__all__ = ["Detector", "Integral", "NearField", "detector"]

Complex = NDArray[np.complex128]

NOTHING: Complex = np.zeros((1, 1), dtype=np.complex128)


class Detector(Protocol):
    """D(u, q), linear in the scattered wave u; t is the total wave at the points of q."""

    def __call__(self, u: Complex, t: Complex, q: Array, /) -> Complex:
        """The data, shape (r, s)."""

    def tangent(self, du: Complex, dt: Complex, t: Complex, q: Array, dq: Array, /) -> Complex:
        """Their derivative, shape (r, s)."""

    def load(self, c: Complex, q: Array, /) -> Complex:
        """The right-hand side of the adjoint equation for weights c (r, s), shape (n, s)."""

    def direct(self, c: Complex, t: Complex, /) -> Array | float:
        """The derivative of Re Σ c D with respect to q at fixed u, shape (points,)."""


@dataclass(frozen=True)
class NearField:
    """D = B u + d₀: values or derivatives of u at places.

    Attributes:
        matrix: B, shape (r, n).
        offset: d₀, what the incident wave adds where the total wave is measured, (r, s).
    """

    matrix: Any
    offset: Complex

    def __call__(self, u: Complex, _t: Complex, _q: Array) -> Complex:
        """B u + d₀."""
        return np.asarray(self.matrix @ u + self.offset)

    def tangent(self, du: Complex, _dt: Complex, _t: Complex, _q: Array, _dq: Array) -> Complex:
        """B du."""
        return np.asarray(self.matrix @ du)

    def load(self, c: Complex, _q: Array) -> Complex:
        """Bᵀ c."""
        return np.asarray(self.matrix.T @ c)

    def direct(self, _c: Complex, _t: Complex) -> float:
        """Zero: q does not enter."""
        return 0.0


@dataclass(frozen=True)
class Integral:
    """D = F (q t) + d₀: the scattered wave by its integral over the region, near or far.

    u_s(x) = k² ∫ (i/4) H₀⁽¹⁾(k|x − y|) q(y) u(y) dy, and u_s ~ u_∞ exp(ikr)/√r with
    u_∞(φ) = e^{iπ/4}/√(8πk) k² ∫ e^{−ik x̂·y} q(y) u(y) dy (Colton and Kress 2019, §3.5 and 8.2).
    Reciprocity between sources and receivers holds to rounding.

    Attributes:
        kernel: F, with quadrature weights, shape (r, points).
        rule: the quadrature.
        offset: d₀, what the incident wave adds where the total wave is measured, (r, s).
    """

    kernel: Complex
    rule: CellRule
    offset: Complex

    @classmethod
    def far(cls, k: float, degrees: Array, rule: CellRule) -> Integral:
        """The far-field pattern in directions given in degrees."""
        phi = np.deg2rad(degrees)
        phase = np.exp(-1j * k * np.stack([np.cos(phi), np.sin(phi)], axis=1) @ rule.points.T)
        scale = np.exp(0.25j * np.pi) / np.sqrt(8 * np.pi * k) * k**2
        return cls(scale * phase * rule.weights, rule, NOTHING)

    @classmethod
    def near(cls, k: float, where: Array, rule: CellRule, offset: Complex) -> Integral:
        """The wave at places outside the region."""
        distance = np.linalg.norm(where[:, None] - rule.points[None], axis=2)
        return cls(0.25j * k**2 * hankel1(0, k * distance) * rule.weights, rule, offset)

    def __call__(self, _u: Complex, t: Complex, q: Array) -> Complex:
        """F (q t) + d₀."""
        return np.asarray(self.kernel @ (q[:, None] * t) + self.offset)

    def tangent(self, _du: Complex, dt: Complex, t: Complex, q: Array, dq: Array) -> Complex:
        """F (dq t + q dt)."""
        return np.asarray(self.kernel @ (dq[:, None] * t + q[:, None] * dt))

    def load(self, c: Complex, q: Array) -> Complex:
        """Eᵀ (q Fᵀ c)."""
        return np.asarray(self.rule.loads @ (q[:, None] * (self.kernel.T @ c)))

    def direct(self, c: Complex, t: Complex) -> Array:
        """Re Σ t Fᵀ c."""
        return np.asarray(np.sum(t * (self.kernel.T @ c), axis=1).real)


def detector(
    config: HelmholtzConfig, space: HighOrderSpace, rule: CellRule, k: float, where: Array
) -> Detector:
    """What the configuration measures, at distinct receivers ``where``.

    Raises:
        DataSchemaError: a receiver lies outside the mesh, or on no side for ∂u/∂n.
    """
    if config.measure == "far-field":
        return Integral.far(k, where[:, 0], rule)
    normal = outward(config, where) if config.measure == "normal-derivative" else None
    offset = measured(config, k, where, normal) if config.total else NOTHING
    if config.receivers == "integrate":
        return Integral.near(k, where, rule, offset)
    return NearField(space.at(where, normal).astype(np.complex128), offset)
