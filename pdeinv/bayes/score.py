"""What all scores have in common: small where data and prediction agree, and no density."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from pdeinv.bayes.likelihood import LikelihoodKind, Moments
from pdeinv.errors import CapabilityError
from pdeinv.typing import Array

__all__ = ["Score"]


class Score:
    """A likelihood (:class:`pdeinv.bayes.likelihood.Likelihood`) but for value, slope and size."""

    kind: ClassVar[LikelihoodKind] = LikelihoodKind.SCORE
    expectation: ClassVar[str] = "a score, of which nothing is expected"
    called: ClassVar[str]
    """Its name with an article, for messages."""

    def largest_misfit(self, predict: Callable[[], Array], factor: float = 1.0) -> float:
        """None: no score is too large for right data."""
        return np.inf

    def moments(self, predictions: Array) -> Moments:
        """Not defined.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(f"{self.called} has no density, hence no moments of data")

    def draw(self, prediction: Array, rng: np.random.Generator) -> Array:
        """Not defined.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(f"{self.called} has no density, so that no data can be drawn from it")

    def log_density(self, prediction: Array, data: Array) -> Array:
        """Not defined.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(f"{self.called} has no density")
