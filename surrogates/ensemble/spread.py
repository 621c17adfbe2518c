"""How far an ensemble's spread is trusted: a factor and a floor fitted to held-out errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from pdeinv.typing import Array

__all__ = ["Spread", "coverage"]


@dataclass(frozen=True)
class Spread:
    """var = factor² · (variance over the members) + floor².

    The members agree on what none of them knows, so that their spread alone is too small: the
    factor stretches it, the floor is the error that they share.

    Attributes:
        factor: on the standard deviation of the members.
        floor: a standard deviation, in the units of the data.
    """

    factor: float
    floor: float

    @classmethod
    def fit(cls, spread: Array, error: Array) -> Spread:
        """Maximise the Gaussian likelihood of held-out errors.

        Args:
            spread: variance over the members, any shape.
            error: prediction minus truth, the same shape.
        """
        variance, square = spread.ravel(), error.ravel() ** 2
        unit = max(float(np.sqrt(np.mean(square))), 1e-300)
        variance, square = variance / unit**2, square / unit**2
        smallest = 1e-12 + 1e-6 * float(variance.mean())

        def cost(logs: Array) -> float:
            total = np.exp(2 * logs[0]) * variance + np.exp(2 * logs[1]) + smallest
            return float(np.mean(np.log(total) + square / total))

        start = np.log([np.sqrt(1 / max(float(variance.mean()), 1e-12)), 0.1])
        bounds = [(-10, 10), (-10, 5)]
        found = minimize(cost, start, method="L-BFGS-B", bounds=bounds)
        factor, floor = np.exp(found.x)
        return cls(float(factor), float(floor * unit))

    def __call__(self, spread: Array) -> Array:
        """Calibrated variances of variances over the members."""
        return np.asarray(self.factor**2 * spread + self.floor**2)


def coverage(error: Array, variance: Array, deviations: float = 1.96) -> float:
    """The share of errors within so many predicted standard deviations."""
    return float(np.mean(np.abs(error) <= deviations * np.sqrt(variance)))
