"""Denoisers that are known in closed form: of the prior itself, and of mixtures of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import softmax

from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["GaussianDenoiser", "MixtureDenoiser"]


def _line(n: int) -> Space:
    return Space((Variable("xi", ("xi_dim",), (n,), long_name="whitened unknown"),))


@dataclass(frozen=True)
class GaussianDenoiser:
    """That of x ~ N(0, I), D(y) = y / (1 + level²) (Wiener 1949).

    It is exact for every prior of pdeinv, since xi is standard normal under all of them.

    Attributes:
        dim: the length of xi.
    """

    dim: int

    @cached_property
    def space(self) -> Space:
        """The space of xi."""
        return _line(self.dim)

    @property
    def spread(self) -> float:
        """One."""
        return 1.0

    @property
    def differentiable(self) -> bool:
        """It is linear."""
        return True

    def __call__(self, noisy: Array, level: float) -> Array:
        """y / (1 + level²)."""
        return np.asarray(self.space.check(noisy) / (1 + level**2))

    def vjp(self, noisy: Array, level: float, w: Array) -> Array:
        """w / (1 + level²)."""
        return np.asarray(self.space.check(w) / (1 + level**2))


@dataclass(frozen=True)
class MixtureDenoiser:
    """That of a mixture of Gaussians with a common diagonal covariance, Σ_k w_k N(m_k, diag(v)).

    With responsibilities r_k ∝ w_k N(y; m_k, diag(v) + level² I) it is
    D(y) = Σ_k r_k (m_k + v / (v + level²) (y - m_k)).

    Attributes:
        weights: w_k, shape (k,), of sum 1.
        means: m_k, shape (k, dim).
        variance: v, shape (dim,).
    """

    weights: Array
    means: Array
    variance: Array

    @cached_property
    def space(self) -> Space:
        """The space of xi."""
        return _line(len(self.variance))

    @cached_property
    def spread(self) -> float:
        """The root of the largest eigenvalue of the covariance of the whole mixture.

        The means span at most k directions; the bound is that of the two parts by themselves.
        """
        away = np.sqrt(self.weights)[:, None] * (self.means - self.weights @ self.means)
        return float(np.sqrt(self.variance.max() + np.linalg.norm(away, 2) ** 2))

    @property
    def differentiable(self) -> bool:
        """It is smooth."""
        return True

    def responsibilities(self, noisy: Array, level: float) -> Array:
        """r_k of each row, shape (..., k)."""
        total = self.variance + level**2
        scaled = self.means / total
        log = noisy @ scaled.T - 0.5 * np.sum(scaled * self.means, axis=1) + np.log(self.weights)
        return np.asarray(softmax(log, axis=-1))

    def __call__(self, noisy: Array, level: float) -> Array:
        """Σ_k r_k (m_k + v / (v + level²) (y - m_k))."""
        keep = self.variance / (self.variance + level**2)
        mean = self.responsibilities(self.space.check(noisy), level) @ self.means
        return np.asarray(keep * noisy + (1 - keep) * mean)

    def vjp(self, noisy: Array, level: float, w: Array) -> Array:
        """The derivative is symmetric: keep + level²-scaled covariance of the means under r."""
        total = self.variance + level**2
        r = self.responsibilities(self.space.check(noisy), level)
        along = (w * (1 - self.variance / total)) @ self.means.T
        centred = r * (along - np.sum(r * along, axis=-1, keepdims=True))
        return np.asarray(w * (self.variance / total) + (centred @ self.means) / total)
