"""Bands of 90 % about estimates and the truths that they hold; errors of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

__all__ = ["COVERED", "WITHIN", "coverage", "image_errors", "inside"]

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


def image_errors(found: Array, truth: Array) -> dict[str, float]:
    """Medians over images (n, p) of Σ|x̂ - x| / Σ|x| and ‖x̂ - x‖ / ‖x‖, each of its own truth.

    ``image_l1`` and ``image_l2``; nodes of a regular grid stand for equal areas.
    """
    off, size = np.abs(found - truth), np.abs(truth)
    l1 = off.sum(axis=1) / size.sum(axis=1)
    l2 = np.linalg.norm(off, axis=1) / np.linalg.norm(size, axis=1)
    return {"image_l1": float(np.median(l1)), "image_l2": float(np.median(l2))}
