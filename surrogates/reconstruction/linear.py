"""The linear-Gaussian reconstruction: images as a linear function of the data and of their noise.

E[x | d] = x̄ + C_xd (C_dd + N)⁻¹ (d - d̄) with covariances of the training (Wiener filter), N the
variance of the noise and ``extra``, what few samples and a crooked map leave to be explained. With
N = ``extra`` whatever the noise it is plain ridge regression.

Reference: Kaipio and Somersalo (2005), Statistical and computational inverse problems, §3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.typing import Array

from .modes import DataModes, Seen

__all__ = ["LinearImages"]

EXTRAS = 10.0 ** np.arange(-4.0, 7.0)
"""Values of ``extra`` that are tried, in units of σ²."""

BEYOND = 6.0
"""``extra`` is no more than so many times the first mode's variance, or all images are the mean."""


@dataclass(frozen=True)
class LinearImages:
    """x = x̄ + W c, c the coefficients of the data in their modes.

    Attributes:
        data: the family of data.
        mean: x̄, shape (p,).
        weights: W, shape (p, r).
        left: variance of the images that no data tell, shape (p,).
        extra: variance that is added to that of the noise, in units of σ².
        knows_noise: whether the noise of the data counts (Wiener), or ``extra`` alone (ridge).
    """

    data: DataModes
    mean: Array
    weights: Array
    left: Array
    extra: float = 0.0
    knows_noise: bool = True

    @classmethod
    def fit(cls, data: DataModes, values: Array, images: Array) -> LinearImages:
        """From predictions (n, n_obs) without noise and images (n, p)."""
        mean = images.mean(axis=0)
        c = data.coded(values) @ data.basis.T
        cross = (images - mean).T @ c / max(1, len(values) - 1)
        weights = cross / data.variance
        told = np.sum(weights**2 * data.variance, axis=1)
        return cls(data, mean, weights, np.maximum(images.var(axis=0) - told, 0.0))

    def tuned(self, seen: Seen, images: Array) -> LinearImages:
        """The same with the ``extra`` of least square error on samples that :meth:`fit` had not."""
        most = BEYOND * float(self.data.variance[0])
        tried = [replace(self, extra=float(e)) for e in EXTRAS if e <= most] or [self]
        errors = [float(np.mean((one(seen) - images) ** 2)) for one in tried]
        return tried[int(np.argmin(errors))]

    def noise(self, seen: Seen) -> Array:
        """N of data that are whole, shape (n, 1)."""
        return np.asarray(np.exp(2 * seen.level)[:, None] + self.extra)

    def _read(self, seen: Seen) -> Seen:
        """As if without noise, where that is not known."""
        if self.knows_noise:
            return seen
        return replace(seen, level=np.full(len(seen.values), -np.inf), ratio=None)

    def __call__(self, seen: Seen) -> Array:
        """Images (n, p)."""
        seen = self._read(seen)
        if not seen.whole:
            return np.asarray(self.mean + self.data.posterior(seen, self.extra)[0] @ self.weights.T)
        variance = self.data.variance
        shrunk = variance / (variance + self.noise(seen))
        c = self.data.coded(seen.values) @ self.data.basis.T
        return np.asarray(self.mean + (c * shrunk) @ self.weights.T)

    def std(self, seen: Seen) -> Array:
        """Standard deviation of the images given the data, (n, p)."""
        seen = self._read(seen)
        if not seen.whole:
            covariance = self.data.posterior(seen, self.extra)[1]
            told = np.sum((self.weights @ covariance) * self.weights, axis=1)
            return np.tile(np.sqrt(self.left + np.maximum(told, 0.0)), (len(seen.values), 1))
        variance, noise = self.data.variance, self.noise(seen)
        return np.sqrt(self.left + (variance * noise / (variance + noise)) @ (self.weights**2).T)

    def arrays(self) -> dict[str, Array]:
        """For storage, its data's left out."""
        rule = np.array([self.extra, float(self.knows_noise)])
        return {"mean": self.mean, "weights": self.weights, "left": self.left, "rule": rule}

    @classmethod
    def from_arrays(cls, data: DataModes, a: Mapping[str, Array]) -> LinearImages:
        """The inverse of :meth:`arrays`."""
        extra, knows = map(float, a["rule"])
        return cls(data, a["mean"], a["weights"], a["left"], extra, bool(knows))
