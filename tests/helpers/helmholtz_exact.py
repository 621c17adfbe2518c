"""Waves known in closed form: a homogeneous cylinder, and a Gaussian source in free space."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import h1vp, hankel1, jv, jvp

from pdeinv.typing import Array

__all__ = ["cylinder", "cylinder_pattern", "gaussian_source"]

Complex = NDArray[np.complex128]


def cylinder(k: float, n: float, radius: float, points: Array, direction: float = 0.0) -> Complex:
    """The scattered wave of a plane wave on the cylinder |x| < radius with squared index n.

    u_s = Σ iᵐ aₘ Hₘ(kr) e^{im(θ−φ)} outside; inside, the total wave Σ iᵐ bₘ Jₘ(k√n r) e^{im(θ−φ)}
    less the incident one. u and ∂u/∂r are continuous.

    Args:
        k: wave number outside.
        n: squared index inside.
        radius: of the cylinder, around the origin.
        points: shape (p, 2).
        direction: of the plane wave, in radians.

    Reference: Colton and Kress (2019), §3.4; Bohren and Huffman (1983), §8.4.
    """
    terms, a, b = _coefficients(k, n, radius)
    inner = k * math.sqrt(n)
    r, theta = np.hypot(*points.T)[:, None], np.arctan2(points[:, 1], points[:, 0])[:, None]
    wave = 1j**terms * np.exp(1j * terms * (theta - direction))
    out = np.empty(len(points), dtype=np.complex128)
    outside = r[:, 0] >= radius
    out[outside] = (wave * a * hankel1(terms, k * np.maximum(r, radius)))[outside].sum(axis=1)
    total = (wave * b * jv(terms, inner * r))[~outside].sum(axis=1)
    along = points[~outside] @ [math.cos(direction), math.sin(direction)]
    out[~outside] = total - np.exp(1j * k * along)
    return out


def cylinder_pattern(k: float, n: float, radius: float, angles: Array) -> Complex:
    """The far-field pattern of that wave in directions (radians), u_s ~ u_∞ exp(ikr)/√r.

    u_∞ = √(2/(πk)) e^{−iπ/4} Σ aₘ e^{im(θ−φ)} for the plane wave along φ = 0.
    """
    terms, a, _ = _coefficients(k, n, radius)
    series = np.exp(1j * np.outer(angles, terms)) @ a
    return np.asarray(math.sqrt(2 / (math.pi * k)) * np.exp(-0.25j * math.pi) * series)


def _coefficients(k: float, n: float, radius: float) -> tuple[Array, Complex, Complex]:
    """The orders m with aₘ outside and bₘ inside; enough of them for rounding."""
    inner = k * math.sqrt(n)
    ko, ki = k * radius, inner * radius
    most = math.ceil(max(ko, ki) + 6 * max(ko, ki) ** (1 / 3) + 8)
    m = np.arange(-most, most + 1)
    below = inner * jvp(m, ki) * hankel1(m, ko) - k * h1vp(m, ko) * jv(m, ki)
    a = (k * jvp(m, ko) * jv(m, ki) - inner * jvp(m, ki) * jv(m, ko)) / below
    b = (jv(m, ko) + a * hankel1(m, ko)) / jv(m, ki)
    return m, a, b


def gaussian_source(k: float, width: float, r: Array) -> Complex:
    """The outgoing wave of f = exp(−r²/(2 width²)) at distances r ≫ width, ∇²u + k²u = f.

    u = −(i/4) H₀(kr) ∫ f J₀(kr'), the integral being 2π width² exp(−k² width²/2).
    """
    strength = 2 * math.pi * width**2 * math.exp(-0.5 * (k * width) ** 2)
    return np.asarray(-0.25j * strength * hankel1(0, k * r))
