"""Gaussian reference measures N(mean, I + V diag(s) V^T) for preconditioned proposals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.typing import Array

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """A Gaussian that differs from N(0, I) by its mean and along the columns of an orthonormal V.

    Attributes:
        mean: shape (dim,).
        basis: V, shape (dim, r), orthonormal columns.
        excess: s, shape (r,), each above -1; the variance along column i is 1 + s_i.
    """

    mean: Array
    basis: Array
    excess: Array

    @classmethod
    def standard(cls, dim: int) -> Reference:
        """N(0, I)."""
        return cls(np.zeros(dim), np.zeros((dim, 0)), np.zeros(0))

    @classmethod
    def from_moments(cls, mean: Array, covariance: Array, floor: float = 1e-8) -> Reference:
        """The Gaussian with these moments; variances are kept above ``floor``."""
        variance, basis = np.linalg.eigh(0.5 * (covariance + covariance.T))
        return cls(mean, basis, np.maximum(variance, floor) - 1.0)

    @property
    def covariance(self) -> Array:
        """I + V diag(s) V^T, shape (dim, dim)."""
        return np.asarray(np.eye(len(self.mean)) + (self.basis * self.excess) @ self.basis.T)

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """What C^(1/2) and C^(-1/2) add along the basis."""
        deviation = np.sqrt(1 + self.excess)
        return deviation - 1, 1 / deviation - 1

    def _scale(self, v: Array, factor: Array) -> Array:
        return np.asarray(v + self.basis @ (factor * (v @ self.basis)))

    def root(self, w: Array) -> Array:
        """C^(1/2) w for (dim,)."""
        return self._scale(w, self._factors[0])

    def inverse_root(self, v: Array) -> Array:
        """C^(-1/2) v for (dim,)."""
        return self._scale(v, self._factors[1])

    def unwhiten(self, z: Array) -> Array:
        """xi = mean + C^(1/2) z for (dim,)."""
        return self.mean + self.root(z)

    def whiten(self, xi: Array) -> Array:
        """z = C^(-1/2) (xi - mean) for (dim,)."""
        return self.inverse_root(xi - self.mean)
