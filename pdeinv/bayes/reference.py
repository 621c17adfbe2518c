"""Gaussian reference measures N(mean, I + V diag(s) V^T) for preconditioned proposals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.typing import Array

__all__ = ["Reference"]

SMALL = 128
"""Unknowns up to which a product takes less time than the call of a second one."""


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

    @cached_property
    def _whole_root(self) -> Array | None:
        return self._whole(self._factors[0])

    @cached_property
    def _whole_inverse(self) -> Array | None:
        return self._whole(self._factors[1])

    def _whole(self, factor: Array) -> Array | None:
        """I + V diag(factor) V^T, where one product with it costs no more than two with V."""
        dim, rank = self.basis.shape
        if dim > max(SMALL, 2 * rank):
            return None
        return np.asarray(np.eye(dim) + (self.basis * factor) @ self.basis.T)

    def _scaled(self, v: Array, whole: Array | None, factor: Array) -> Array:
        if whole is None:
            return np.asarray(v + self.basis @ (factor * (v @ self.basis)))
        return np.asarray(whole.dot(v))

    def root(self, w: Array) -> Array:
        """C^(1/2) w for (dim,)."""
        return self._scaled(w, self._whole_root, self._factors[0])

    def inverse_root(self, v: Array) -> Array:
        """C^(-1/2) v for (dim,)."""
        return self._scaled(v, self._whole_inverse, self._factors[1])

    def unwhiten(self, z: Array) -> Array:
        """xi = mean + C^(1/2) z for (dim,)."""
        return self.mean + self.root(z)

    def whiten(self, xi: Array) -> Array:
        """z = C^(-1/2) (xi - mean) for (dim,)."""
        return self.inverse_root(xi - self.mean)
