"""Data as a Gaussian family: their mean, their modes, and what noise leaves to be seen of both.

In units of σ data are z = V c + noise with c ~ N(0, diag(λ)), rows of V orthonormal. Where all data
are measured with one multiple s of σ every mode stands for itself; else one small linear system
is solved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["DataModes", "Seen"]


@dataclass(frozen=True)
class Seen:
    """Data as they come to a reconstruction.

    Attributes:
        values: shape (n, n_obs), NaN where nothing was measured, in all rows alike.
        level: ln of the multiple of σ that each row's noise has, shape (n,).
        ratio: σ of each datum over that of the training, shape (n_obs,), where it is known and not
            the same for all of them.
    """

    values: Array
    level: Array
    ratio: Array | None = None

    @property
    def whole(self) -> bool:
        """Whether every datum is there, with one multiple of σ."""
        return self.ratio is None and bool(np.isfinite(self.values[:1]).all())

    @property
    def variance(self) -> Array:
        """Of the noise of each datum, in units of σ², shape (n_obs,); of data that are not whole.

        Rows of other noise are asked one after another.
        """
        size = self.values.shape[1]
        multiple = np.exp(float(self.level[0]))
        return np.full(size, multiple**2) if self.ratio is None else self.ratio**2


@dataclass(frozen=True)
class DataModes:
    """The family of data that a training saw.

    Attributes:
        mean: shape (n_obs,).
        std: σ that counts as usual, shape (n_obs,).
        basis: V, shape (r, n_obs).
        variance: λ, shape (r,), in units of σ².
        rest: variance of a datum beyond the modes, in units of σ².
    """

    mean: Array
    std: Array
    basis: Array
    variance: Array
    rest: float

    @classmethod
    def fit(cls, values: Array, std: Array, most: int) -> DataModes:
        """At most so many modes of predictions (n, n_obs) without noise."""
        mean = values.mean(axis=0)
        z = (values - mean) / std
        _, s, basis = np.linalg.svd(z, full_matrices=False)
        variance = s**2 / max(1, len(values) - 1)
        kept = max(1, min(most, int(np.sum(variance > 1e-8 * variance[0]))))
        left = values.shape[1] - kept
        rest = float(variance[kept:].sum()) / left if left else 0.0
        return cls(mean, std, basis[:kept].copy(), variance[:kept].copy(), rest)

    def coded(self, values: Array) -> Array:
        """z, 0 where nothing was measured, shape (n, n_obs)."""
        return np.nan_to_num((values - self.mean) / self.std, nan=0.0)

    def posterior(self, seen: Seen, extra: float) -> tuple[Array, Array]:
        """Mean of c, shape (n, r), and its covariance (r, r), for data that are not whole.

        Args:
            seen: the data.
            extra: variance that every datum has besides its noise, in units of σ².
        """
        basis, weight = self._measured(seen, extra)
        precision = np.diag(1 / self.variance) + (basis * weight) @ basis.T
        covariance = np.linalg.inv(precision)
        return (self.coded(seen.values) * weight) @ self.basis.T @ covariance, covariance

    def _measured(self, seen: Seen, extra: float) -> tuple[Array, Array]:
        """V, and the precision of each datum, 0 where nothing was measured."""
        there = np.isfinite(seen.values[0])
        return self.basis, np.where(there, 1 / (seen.variance + extra), 0.0)

    def oddity(self, seen: Seen) -> Array:
        """zᵀ C⁻¹ z over the number of data, C the covariance of data with their noise, (n,).

        1 on average over the family; larger for data unlike those of the training (Mahalanobis).
        """
        z = self.coded(seen.values)
        if not seen.whole:
            return self._oddity_of_some(z, seen)
        noise = np.exp(2 * seen.level) + self.rest
        c = z @ self.basis.T
        within = np.sum(c**2 / (self.variance + noise[:, None]), axis=1)
        beyond = np.maximum(np.sum(z**2, axis=1) - np.sum(c**2, axis=1), 0.0) / noise
        return np.asarray((within + beyond) / z.shape[1])

    def _oddity_of_some(self, z: Array, seen: Seen) -> Array:
        """By the identity of Woodbury."""
        basis, weight = self._measured(seen, self.rest)
        inner = np.linalg.inv(np.diag(1 / self.variance) + (basis * weight) @ basis.T)
        pushed = (z * weight) @ basis.T
        quadratic = np.sum(z**2 * weight, axis=1) - np.sum(pushed @ inner * pushed, axis=1)
        return np.asarray(quadratic / max(1, int(np.sum(weight > 0))))

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        numbers = {"mean": self.mean, "std": self.std, "basis": self.basis}
        return {**numbers, "variance": self.variance, "rest": np.array([self.rest])}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> DataModes:
        """The inverse of :meth:`arrays`."""
        return cls(a["mean"], a["std"], a["basis"], a["variance"], float(a["rest"][0]))
