"""Data that are 0 or 1, a mask or a threshold that was passed or not: P(y = 1) = p(z), z = G."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from pdeinv.bayes.fit import LEVEL
from pdeinv.bayes.likelihood import LikelihoodKind, Moments
from pdeinv.bayes.links import LINKS, Link
from pdeinv.bayes.noise import Noise
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.typing import Array

__all__ = ["Bernoulli", "check_share"]

LEAST = 1e-200
"""The Fisher information counts as so much where it is less: no datum has an infinite σ."""


SURE = 0.01
"""A probability that counts as no smaller where data are taken for Gaussian."""


def check_share(weight: object) -> float:
    """The effective share of independent data that somebody states.

    Raises:
        ConfigError: no number above 0 and at most 1.
    """
    if isinstance(weight, int | float | np.number) and 0 < float(weight) <= 1:
        return float(weight)
    raise ConfigError(f"weight must be a number above 0 and at most 1, got {weight!r}")


@dataclass(frozen=True)
class Bernoulli:
    """Φ = -w Σ ln P(y_i), independent data up to the weight w.

    Attributes:
        size: the number of data.
        link: name of p(z), one of :data:`pdeinv.bayes.links.LINKS`.
        weight: w, the effective share of independent data: neighbours in a mask repeat each other.
    """

    size: int
    link: str = "logit"
    weight: float = 1.0

    kind: ClassVar[LikelihoodKind] = LikelihoodKind.DENSITY
    expectation: ClassVar[str] = "the entropy of the predicted probabilities is expected"

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise ConfigError(f"link '{self.link}' is unknown; choose {', '.join(LINKS)}")
        if not 0 < self.weight < np.inf:
            raise ConfigError(f"weight must be positive and finite, got {self.weight!r}")

    @property
    def _link(self) -> Link:
        return LINKS[self.link]

    @property
    def std(self) -> Array:
        """One over the root of the largest Fisher information, for each datum."""
        return np.full(self.size, (self.weight * self._link.peak) ** -0.5)

    def check(self, data: Array) -> None:
        """Data are 0 or 1.

        Raises:
            DataSchemaError: one is something else.
        """
        bad = np.flatnonzero((data != 0) & (data != 1))
        if len(bad):
            raise DataSchemaError(
                f"data of a Bernoulli likelihood must be 0 or 1; usable datum {bad[0]} "
                f"is {data[bad[0]]:g}; leave it out, or use additive noise"
            )

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        return np.asarray(-np.sum(self.log_density(prediction, data), axis=-1))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dz."""
        sign = 2 * data - 1
        slope = -self.weight * sign * self._link.slope(sign * prediction)
        return self.misfit(prediction, data), slope

    def fisher(self, prediction: Array) -> Noise:
        """F(z), as the additive noise that has the same."""
        information = self.weight * self._link.information(prediction)
        return Noise(np.maximum(information, LEAST) ** -0.5)

    def moments(self, predictions: Array) -> Moments:
        """p and p (1 - p) / w, the latter no less than that of a datum seen wrongly once in 100."""
        p = self._link.probability(predictions)
        variance = np.mean(p * (1 - p), axis=0)
        noise = Noise(np.sqrt(np.maximum(variance, SURE * (1 - SURE)) / self.weight))
        return Moments(p, noise, float(self.weight * np.sum(variance / 0.25)))

    def largest_misfit(self, predict: Callable[[], Array], factor: float = 1.0) -> float:
        """By mean, variance and skewness of Φ where the prediction is right (Cornish and Fisher).

        Fewer effective data scatter more: the variance of Φ is w times that of independent data.
        """
        z = predict()
        p, ones, zeros = self._link.probability(z), -self._link.log(z), -self._link.log(-z)
        gap, q = ones - zeros, p * (1 - p)
        mean, variance = float(np.sum(p * ones + (1 - p) * zeros)), float(np.sum(q * gap**2))
        third = float(np.sum(q * (1 - 2 * p) * gap**3))
        sd, at = np.sqrt(variance / self.weight), float(ndtri(LEVEL))
        skewed = (at**2 - 1) / 6 * third / variance / self.weight if variance > 0 else 0.0
        return factor**2 * self.weight * float(mean + at * sd + max(skewed, 0.0))

    def draw(self, prediction: Array, rng: np.random.Generator) -> Array:
        """Zeros and ones, one row for each row of predictions (n, n_d), NaN where these are."""
        ones = rng.random(prediction.shape) < self._link.probability(prediction)
        return np.where(np.isnan(prediction), np.nan, ones)

    def log_density(self, prediction: Array, data: Array) -> Array:
        """w ln P(y_i) for (..., n_d)."""
        return np.asarray(self.weight * self._link.log((2 * data - 1) * prediction))

    def tempered(self, temperature: float) -> Bernoulli:
        """With the weight w / ``temperature``."""
        return replace(self, weight=self.weight / temperature)
