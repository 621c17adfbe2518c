"""How much a drawn contour tells: the effective share of its voxels, and the softness that fits it.

Voxels of a segmentation are not independent. Its contour is off along the normal by a field f of
standard deviation σ with the covariance σ² exp(−r²/(2ℓ²)) along the contour, while the likelihood
of :mod:`pdeinv.bayes.bernoulli` counts every voxel of volume hᵈ for itself.

Across a contour where c has the slope g, z = g n/s at the distance n; where s is in mm, g is one. A
contour that is off by f makes the data between n = 0 and n = f wrong, so that the slope of Φ by the
place of the contour is, per area of it,

    w h⁻ᵈ ψ(u),  ψ(u) = sign(u) (ln(1 − ½ e^(−u²)) + ln 2 + u²),  u = g f/s ~ N(0, τ²),  τ = g σ/s.

Estimates average ψ over the contour. Their variance per area is ∫Cov(ψ(u(0)), ψ(u(r))) dr /
(E ψ')² in units of (s/g)², and Φ claims hᵈ g/(s w E ψ'). They agree for

    w = hᵈ / ((2π)^((d−1)/2) ℓ^(d−1) σ κ(τ)),   κ(τ) = Σ_n a_n² n^(−(d−1)/2) / (τ E ψ'),

with a_n the coefficients of ψ(τx) in normalised Hermite polynomials (Mehler's formula). It is the
volume of a voxel over that of a patch: as wide as errors are correlated, and κ σ thick. The
sandwich of an estimate from a likelihood that is wrong: Huber (1967); for composite likelihoods:
Pauli, Racugno and Ventura (2011).

``laplace`` takes the Fisher information for the curvature, which is the mean curvature E ψ' where
the softness fits the contour, τ = 1.12; for smaller s bands of ``laplace`` come out wider than
those of ``hmc``, by a factor of 1.3 for τ = 2.2.
"""

from __future__ import annotations

from math import factorial, pi, sqrt

import numpy as np
from numpy.polynomial.hermite_e import hermegauss, hermeval

from pdeinv.typing import Array

from .config import TumorConfig, ends

__all__ = ["FITTING", "contour_slope", "effective_share", "fitting_softness"]

FITTING = 1.12
"""τ where the Fisher information is the mean curvature: ∫F(z) dz = E ψ'."""

_ORDERS = range(1, 30, 2)
"""Of Hermite polynomials: ψ is odd."""


def contour_slope(config: TumorConfig) -> float:
    """|∇c| at contours, 1/mm: ½ c (1 − c) √(ρ/D) at the medians of the prior, mean of the regions.

    That is about the slope of a front that runs at its own speed 2 √(Dρ) (Canosa 1973).
    """
    assert config.masks is not None
    u = config.unknown
    width = sqrt(u.diffusivity.median / u.growth_rate.median)
    middles = [sum(ends(t)) / 2 for t in config.masks.thresholds.values()]
    return float(np.mean([c * (1 - c) for c in middles]) / (2 * width))


def fitting_softness(sd: float, slope: float = 1.0) -> float:
    """s for which P(seen) is that of a contour that is off by ``sd`` mm: |∇c| sd / 1.12.

    Args:
        sd: how far it is off, mm.
        slope: |∇c| at the contour, 1/mm, for a softness of c; 1 for one in mm.
    """
    return slope * sd / FITTING


def effective_share(edge: float, sd: float, length: float, steepness: float, dim: int = 3) -> float:
    """w: the share of voxels that counts, at most 1.

    Args:
        edge: of the voxels, h, mm.
        sd: how far the contour is off, σ, mm.
        length: over which errors are correlated, ℓ, mm.
        steepness: of z across a contour, 1/mm: |∇c| over the softness, or one over that in mm.
        dim: d.
    """
    patch = (2 * pi) ** ((dim - 1) / 2) * length ** (dim - 1) * sd * _kappa(steepness * sd, dim)
    return float(min(1.0, edge**dim / patch))


def _kappa(tau: float, dim: int) -> float:
    """κ(τ), by Gauss and Hermite; E ψ' = E[x ψ(τx)]/τ (Stein)."""
    x, weight = hermegauss(120)
    weight = weight / weight.sum()
    value = weight * _score(tau * x)
    parts = [
        (value @ hermeval(x, [0] * n + [1])) ** 2 / factorial(n) * n ** (-(dim - 1) / 2)
        for n in _ORDERS
    ]
    return float(np.sum(parts) / (value @ x))


def _score(u: Array) -> Array:
    """ψ."""
    tail = np.log1p(-0.5 * np.exp(-(u**2))) + np.log(2.0)
    return np.asarray(np.sign(u) * (tail + u**2))
