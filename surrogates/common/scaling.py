"""Changes of scale that surrogates learn in; every one is fitted on training samples alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

__all__ = ["Pod", "Standard", "constant", "departure", "reference_noise"]

ROUNDING = 1e-12
"""A standard deviation below this share of the values themselves is rounding, no variation."""


def constant(values: Array) -> NDArray[np.bool_]:
    """Which columns of ``values`` (n, n_obs) are the same in all rows, to rounding; (n_obs,)."""
    return np.asarray(values.std(axis=0) <= ROUNDING * np.abs(values).max(axis=0))


def departure(values: Array, mean: Array) -> float:
    """The typical ‖u - mean‖ of data (n, n_obs), rms over samples: what relative errors are of."""
    return max(float(np.sqrt(np.mean(np.sum((values - mean) ** 2, axis=1)))), 1e-300)


def reference_noise(
    values: Array,
    noise_std: Array | float | None,
    noise_rel: float,
    kinds: NDArray[np.int64] | None = None,
) -> Array:
    """The noise σ that errors are weighed against, one per datum, shape (n_obs,).

    Args:
        values: data of the training samples, shape (n, n_obs).
        noise_std: σ where it is known.
        noise_rel: else σ as a share of the standard deviation over samples, rms over data: a datum
            of another unit or origin has the same in its own.
        kinds: the quantity of each datum, where there are several. A share is then of the standard
            deviation of each quantity, and one with few data counts for as much as one with many.
    """
    if noise_std is None:
        variance = values.var(axis=0)
        spread = variance.mean() if kinds is None else _by_kind(variance, kinds)
        noise_std = noise_rel * np.maximum(np.sqrt(spread), 1e-300)
    return np.broadcast_to(np.asarray(noise_std, dtype=np.float64), values.shape[1:]).copy()


def _by_kind(spread: Array, kinds: NDArray[np.int64]) -> Array:
    """The mean variance of each quantity times its share of the data over an even one."""
    names, own, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    mean = np.bincount(own, spread) / counts
    return np.asarray((mean * counts * len(names) / len(kinds))[own])


@dataclass(frozen=True)
class Standard:
    """z = (x - mean) / std, component by component; constant components stay at zero.

    Attributes:
        mean: shape (n,).
        std: shape (n,), positive.
    """

    mean: Array
    std: Array

    @classmethod
    def fit(cls, x: Array, weights: Array | None = None) -> Standard:
        """From training samples, shape (n_samples, n), weighted where ``weights`` are given."""
        mean = np.average(x, axis=0, weights=weights)
        std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
        return cls(mean, np.where(std > ROUNDING * np.abs(x).max(axis=0), std, 1.0))

    def __call__(self, x: Array) -> Array:
        """Scaled values of (..., n)."""
        return np.asarray((x - self.mean) / self.std)


@dataclass(frozen=True)
class Pod:
    """Proper orthogonal decomposition of noise-whitened data: y = mean + σ (z V).

    Distances between coefficients z are distances of data in units of the noise.

    Attributes:
        mean: shape (n_obs,).
        noise_std: σ, shape (n_obs,).
        basis: V, orthonormal rows, shape (n_modes, n_obs).
    """

    mean: Array
    noise_std: Array
    basis: Array

    @classmethod
    def fit(
        cls,
        y: Array,
        noise_std: Array,
        tolerance: float,
        max_modes: int | None = None,
        weights: Array | None = None,
    ) -> Pod:
        """As few modes as leave an rms remainder of at most ``tolerance`` noise units.

        Args:
            y: training data, shape (n, n_obs).
            noise_std: σ, shape (n_obs,).
            tolerance: in units of σ.
            max_modes: upper limit on the number of modes.
            weights: of the samples, shape (n,).
        """
        weights = np.ones(len(y)) if weights is None else weights
        mean = np.average(y, axis=0, weights=weights)
        root = np.sqrt(weights / weights.mean())[:, None]
        _, s, basis = np.linalg.svd(root * (y - mean) / noise_std, full_matrices=False)
        left_over = np.append(np.cumsum((s**2)[::-1])[::-1], 0.0) / y.size
        n = max(1, int(np.argmax(left_over <= tolerance**2)))
        return cls(mean, noise_std, basis[: min(n, max_modes or n)].copy())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Pod:
        """The modes among a surrogate's stored arrays.

        Raises:
            KeyError: one of :meth:`arrays` is missing.
        """
        return cls(arrays["pod_mean"], arrays["pod_noise_std"], arrays["pod_basis"])

    def arrays(self) -> dict[str, Array]:
        """What a surrogate stores of its modes."""
        return {"pod_mean": self.mean, "pod_noise_std": self.noise_std, "pod_basis": self.basis}

    @property
    def n_modes(self) -> int:
        """The number of coefficients."""
        return len(self.basis)

    def encode(self, y: Array) -> Array:
        """Coefficients (..., n_modes) of data (..., n_obs)."""
        return np.asarray(((y - self.mean) / self.noise_std) @ self.basis.T)

    @property
    def decoder(self) -> Array:
        """The matrix (n_modes, n_obs) from coefficients to data, the mean left out."""
        return np.asarray(self.basis * self.noise_std)

    def decode(self, z: Array) -> Array:
        """Data of coefficients."""
        return np.asarray(self.mean + z @ self.decoder)
