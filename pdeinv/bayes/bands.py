"""Bands of 90 % about estimates, and the truths that they hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

__all__ = ["COVERED", "WITHIN", "coverage", "inside"]

COVERED = 0.9
"""The share of truths that a band is to hold."""

WITHIN = float(ndtri(0.5 + 0.5 * COVERED))
"""Half a band, in standard deviations."""


def inside(found: Estimate, truth: Array) -> NDArray[np.bool_]:
    """Which components of the truth (n, dim) lie in the bands of their estimates."""
    return np.asarray(np.abs(found.distance(truth)) <= WITHIN)


def coverage(found: Estimate, truth: Array) -> float:
    """The share of all components within their bands."""
    return float(np.mean(inside(found, truth)))
