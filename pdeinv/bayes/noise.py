"""Additive Gaussian noise y = G(m) + eta, eta ~ N(0, Γ), Γ diagonal, full or along traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.blas import dtrsv

from pdeinv.bayes.along import Along
from pdeinv.bayes.fit import largest_misfit
from pdeinv.bayes.likelihood import DataMisfit, LikelihoodKind, Moments
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.typing import Array

__all__ = ["Noise", "additive", "half_square"]


def half_square(white: Array) -> Array:
    """½ ‖w‖² for (..., n_d); each w by itself, infinite where it is too large for a number."""
    with np.errstate(over="ignore"):
        return np.asarray(0.5 * np.vecdot(white, white))


@dataclass(frozen=True)
class Noise:
    """Γ by its standard deviations and, where given, its full covariance or its part along traces.

    As a likelihood (:class:`pdeinv.bayes.likelihood.Likelihood`) its misfit is
    Φ = ½ ‖Γ^(-1/2) (G - y)‖² and its Fisher information Γ^(-1), wherever G is.

    Attributes:
        std: the standard deviation of each datum, shape (n_d,), positive.
        covariance: Γ, shape (n_d, n_d), or None where the data are independent.
        along: a square root of Γ^(-1) along the time of traces, or None.
    """

    std: Array
    covariance: Array | None = None
    along: Along | None = None

    kind: ClassVar[LikelihoodKind] = LikelihoodKind.GAUSSIAN

    def __post_init__(self) -> None:
        bad = ~(np.isfinite(self.std) & (self.std > 0))
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            raise DataSchemaError(
                "noise standard deviation must be positive and finite; "
                f"datum {k} has {self.std[k]:g}"
            )

    @classmethod
    def of_traces(cls, along: Along) -> Noise:
        """Noise that is correlated along the time of traces."""
        return cls(along.std, along=along)

    @property
    def count(self) -> float:
        """Twice the Φ that is expected where the model is right: how many data count."""
        return float(self.size) if self.along is None else self.along.counts[0]

    @property
    def expectation(self) -> str:
        """The misfit of a right model."""
        if self.count == self.size:
            return "half the number of data is expected"
        return f"{0.5 * self.count:.4g} is expected of what the band has of their noise"

    @classmethod
    def from_covariance(cls, covariance: Array) -> Noise:
        """Noise with a full covariance.

        Raises:
            DataSchemaError: not square, not finite, not symmetric or not positive definite.
        """
        covariance = np.asarray(covariance, dtype=np.float64)
        if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
            raise DataSchemaError(f"noise covariance must be square, got shape {covariance.shape}")
        if not np.isfinite(covariance).all():
            raise DataSchemaError(
                "noise covariance must be finite; drop or fill its missing entries"
            )
        rounding = 1e-12 * float(np.max(np.abs(covariance), initial=0.0))
        if not np.allclose(covariance, covariance.T, rtol=1e-8, atol=rounding):
            raise DataSchemaError(
                "noise covariance must be symmetric; symmetrise it or check its order"
            )
        noise = cls(np.sqrt(np.clip(np.diag(covariance), 0, None)), covariance)
        _ = noise.root
        return noise

    @cached_property
    def root(self) -> Array:
        """The lower Cholesky factor of the full covariance."""
        try:
            return np.asarray(cholesky(self.covariance, lower=True))
        except LinAlgError:
            raise DataSchemaError(
                "noise covariance is not positive definite; add its independent part to the "
                "diagonal"
            ) from None

    @property
    def log_volume(self) -> float:
        """½ ln det Γ."""
        if self.along is not None:
            return self.along.log_volume
        scale = self.std if self.covariance is None else np.diag(self.root)
        return float(np.sum(np.log(scale)))

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.std)

    @cached_property
    def _columns(self) -> Array:
        """The same factor column by column, as BLAS takes it without a copy."""
        return np.asfortranarray(self.root)

    def whiten(self, residual: Array) -> Array:
        """Γ^(-1/2) r for (..., n_d); each r by itself, so that its bits depend on it alone."""
        if self.along is not None:
            return self.along.whiten(residual)
        if self.covariance is None:
            return np.asarray(residual / self.std)
        return self._solved(residual, transposed=False)

    def whiten_transpose(self, w: Array) -> Array:
        """Γ^(-T/2) w for (..., n_d): ``whiten_transpose(whiten(r))`` is Γ^(-1) r."""
        if self.along is not None:
            return self.along.whiten_transpose(w)
        if self.covariance is None:
            return np.asarray(w / self.std)
        return self._solved(w, transposed=True)

    def _solved(self, r: Array, *, transposed: bool) -> Array:
        if r.ndim == 1:
            return np.asarray(dtrsv(self._columns, r, lower=1, trans=transposed))
        rows = [self._solved(row, transposed=transposed) for row in r]
        return np.array(rows).reshape(r.shape)

    def sample(self, rng: np.random.Generator, n: int | None = None) -> Array:
        """Draws of eta, shape (n_d,) or (n, n_d)."""
        shape = (self.size,) if n is None else (n, self.size)
        return self.colored(rng.standard_normal(shape))

    def colored(self, white: Array) -> Array:
        """eta out of independent standard normals (..., n_d)."""
        if self.along is not None:
            return self.along.draw(white)
        return white * self.std if self.covariance is None else np.asarray(white @ self.root.T)

    def check(self, data: Array) -> None:
        """Any number may be measured."""

    def draw(self, prediction: Array, rng: np.random.Generator) -> Array:
        """Noisy data, one row for each row of predictions (n, n_d)."""
        return np.asarray(prediction + self.sample(rng, len(prediction)))

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ = ½ ‖Γ^(-1/2) (G - y)‖² for (..., n_d)."""
        return half_square(self.whiten(prediction - data))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG = Γ^(-1) (G - y)."""
        white = self.whiten(prediction - data)
        return half_square(white), self.whiten_transpose(white)

    def fisher(self, prediction: Array) -> Noise:
        """Γ^(-1), by this noise itself."""
        return self

    def largest_misfit(self, predict: Callable[[], Array], factor: float = 1.0) -> float:
        """By the χ² distribution (:mod:`pdeinv.bayes.fit`); nothing is solved.

        A band of frequencies has that of as many data as give Φ its mean and variance.
        """
        if self.along is None:
            return largest_misfit(self.size, factor)
        mean, spread = self.along.counts
        return spread / mean * largest_misfit(max(1, round(mean**2 / spread)), factor)

    def log_density(self, prediction: Array, data: Array) -> Array:
        """ln p(y_i | all other y_j) for (..., n_d), datum by datum; ln p(y_i) where independent.

        With P = Γ^(-1) and r = G - y that is a normal with variance 1/P_ii about
        r_i - (P r)_i / P_ii, which is what leaving out a correlated datum asks for (Bürkner, Gabry
        and Vehtari 2021, eq. 4).
        """
        weighted = self.whiten_transpose(self.whiten(prediction - data))
        precision = self._precision_diagonal
        constant = 0.5 * np.log(precision / (2 * np.pi))
        return np.asarray(constant - 0.5 * weighted**2 / precision)

    @cached_property
    def _precision_diagonal(self) -> Array:
        """The diagonal of Γ^(-1)."""
        if self.along is not None:
            return _diagonal(self.along)
        if self.covariance is None:
            return np.asarray(1 / self.std**2)
        inverse = np.asarray(solve_triangular(self.root, np.eye(self.size), lower=True))
        return np.asarray(np.sum(inverse**2, axis=0))

    def plus(self, variance: Array) -> Noise:
        """Noise with the covariance Γ + diag(``variance``), for an independent model error.

        Args:
            variance: shape (n_d,), not negative.

        Raises:
            CapabilityError: Γ is known along traces only.
        """
        if self.along is not None:
            raise CapabilityError(
                "noise that is correlated along traces takes no model error; use misfit "
                "'least-squares' without a band"
            )
        full = None if self.covariance is None else self.covariance + np.diag(variance)
        return Noise(np.sqrt(self.std**2 + variance), full)

    def moments(self, predictions: Array) -> Moments:
        """Itself, about the predictions."""
        return Moments(predictions, self, float(self.size))

    def tempered(self, temperature: float) -> Noise:
        """Noise whose covariance is ``temperature`` times this one."""
        if self.along is not None:
            return Noise.of_traces(self.along.tempered(temperature))
        full = None if self.covariance is None else temperature * self.covariance
        return Noise(np.sqrt(temperature) * self.std, full)


def _diagonal(along: Along) -> Array:
    """The diagonal of Wᵀ W, by one unit vector in every trace at once."""
    traces, found = along.traces, np.empty(along.traces.size)
    for k in range(traces.shape[1]):
        own = traces.sample == k
        white = traces.put(along.whiten(own.astype(np.float64)))
        found[own] = np.sum(white**2, axis=1)[traces.trace[own]]
    return found


def additive(likelihood: DataMisfit) -> Noise:
    """A likelihood that has to be additive Gaussian noise.

    Raises:
        CapabilityError: it is another.
    """
    if isinstance(likelihood, Noise):
        return likelihood
    raise CapabilityError(
        "this needs data with additive Gaussian noise, and these have another likelihood"
    )
