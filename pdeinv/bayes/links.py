"""How probable a 1 is where a model predicts z: links with p(-z) = 1 - p(z)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from pdeinv.typing import Array

__all__ = ["LINKS", "Link"]


@dataclass(frozen=True)
class Link:
    """p(z) by its logarithm, which stays finite where p is too small for a number.

    Attributes:
        log: ln p(z).
        slope: its derivative.
        peak: the largest Fisher information of one datum about z.
    """

    log: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    peak: float

    def probability(self, z: Array) -> Array:
        """p(z)."""
        return np.asarray(np.exp(self.log(z)))

    def information(self, z: Array) -> Array:
        """F(z) = p'(z)² / (p (1 - p))."""
        one, zero = self.probability(z), self.probability(-z)
        return np.asarray(one * self.slope(z) ** 2 + zero * self.slope(-z) ** 2)


def _threshold_log(z: Array) -> Array:
    square = z**2
    return np.where(z >= 0, np.log1p(-0.5 * np.exp(-square)), -np.log(2.0) - square)


def _threshold_slope(z: Array) -> Array:
    tail = np.exp(-(z**2))
    return np.where(z >= 0, z * tail / (1 - 0.5 * tail), -2 * z)


LINKS: Mapping[str, Link] = {
    "logit": Link(lambda z: np.asarray(log_expit(z)), lambda z: np.asarray(expit(-z)), 0.25),
    "threshold": Link(_threshold_log, _threshold_slope, 0.927844),
}
"""``logit``: p = 1 / (1 + e^-z). ``threshold``: p = ½ + ½ sign(z) (1 - e^(-z²)), a quantity that
passed a threshold by z times its softness (Lipková et al. 2019, eq. 6)."""
