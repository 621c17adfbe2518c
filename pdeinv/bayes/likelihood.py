"""What an engine may ask of p(y | G), the distribution of the data about what a model predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import numpy as np

from pdeinv.typing import Array

__all__ = ["DataMisfit", "Fisher", "Likelihood", "LikelihoodKind", "Moments", "finite_misfit"]


class LikelihoodKind(StrEnum):
    """How much of a density a likelihood is: an engine that takes a kind takes those before it."""

    GAUSSIAN = "gaussian"
    """Additive Gaussian noise, y = G + eta (:class:`pdeinv.bayes.noise.Noise`)."""
    DENSITY = "density"
    """Any density or probability of the data."""
    SCORE = "score"
    """A number that is small where data and prediction agree, without a density: no posterior."""

    def covers(self, other: LikelihoodKind) -> bool:
        """Whether whoever takes this kind takes that one."""
        order = list(LikelihoodKind)
        return order.index(other) <= order.index(self)


class Fisher(Protocol):
    """The Fisher information F of the data about the prediction, by a square root: F = W^T W."""

    def whiten(self, residual: Array) -> Array:
        """W r for (..., n_d)."""
        ...

    def whiten_transpose(self, w: Array) -> Array:
        """W^T w for (..., n_d)."""
        ...


@dataclass(frozen=True)
class Moments:
    """A likelihood as additive noise with the same mean and variance, about an ensemble.

    Attributes:
        mean: E[y] for each member, shape (n, n_d).
        noise: the square root of the variance, averaged over the members.
        count: how many data the ensemble leaves open.
    """

    mean: Array
    noise: Fisher
    count: float


class DataMisfit(Protocol):
    """What a search for a minimum asks of a likelihood; the stages of one need no more."""

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        ...

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG, of shapes (...) and (..., n_d)."""
        ...

    def fisher(self, prediction: Array) -> Fisher:
        """The expected second derivative of Φ in G at one prediction (n_d,)."""
        ...


class Likelihood(DataMisfit, Protocol):
    """p(y | G) with the misfit Φ = -ln p(y | G) + ln p(y | best G), half the deviance.

    ``prediction`` is G, ``data`` is y, both (..., n_d); each row stands by itself, so that its bits
    depend on it alone.
    """

    kind: ClassVar[LikelihoodKind]

    @property
    def expectation(self) -> str:
        """The misfit of a right model, for a message ("half the number of data is expected")."""
        ...

    @property
    def size(self) -> int:
        """The number of data."""
        ...

    def check(self, data: Array) -> None:
        """Refuse data that it cannot be of.

        Raises:
            DataSchemaError: one has a value that does not occur.
        """
        ...

    @property
    def std(self) -> Array:
        """σ, by how much each prediction may be off before the data notice, shape (n_d,).

        That of additive noise; where F depends on the prediction, F^(-1/2) at its largest.
        """
        ...

    def moments(self, predictions: Array) -> Moments:
        """The mean and the scatter of data for an ensemble of predictions (n, n_d)."""
        ...

    def largest_misfit(self, predict: Callable[[], Array], factor: float = 1.0) -> float:
        """The Φ that right data exceed once in a thousand times.

        Args:
            predict: solves for a prediction near the truth, where that must be known.
            factor: by how much the standard deviations of the data count as larger.
        """
        ...

    def draw(self, prediction: Array, rng: np.random.Generator) -> Array:
        """Data that would be measured, one row for each row of predictions (n, n_d)."""
        ...

    def log_density(self, prediction: Array, data: Array) -> Array:
        """ln p(y_i | all other y_j) for (..., n_d), datum by datum."""
        ...

    def tempered(self, temperature: float) -> Likelihood:
        """The likelihood with the misfit Φ / ``temperature``."""
        ...


def finite_misfit(likelihood: DataMisfit, prediction: Array, data: Array) -> Array:
    """Φ of predictions (..., n_d); infinite where one of them is not finite."""
    ok = np.isfinite(prediction).all(axis=-1)
    safe = np.where(ok[..., None], prediction, data)
    return np.asarray(np.where(ok, likelihood.misfit(safe, data), np.inf))
