"""The score of the Kuopio Tomography Challenge 2023, and its baseline segmentation.

Images are 256 x 256 labels: 0 water, 1 resistive, 2 conductive; pixels cover the square around the
tank, the first row is the uppermost. The score is the mean of two structural similarities, of the
masks of conductive and of resistive pixels, with a Gaussian window of 80 pixels that is normalised
at the image's border. The window is wide: a missed inclusion costs nearly the whole half of the
score, which the usual window of 1.5 pixels does not show.

References: Wang et al. (2004), eq. 13, for the similarity; Otsu (1979) for the segmentation;
Räsänen et al. (2023), Zenodo 8252370, for the constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from pdeinv.errors import ShapeError
from pdeinv.plugins.problem import Metric
from pdeinv.typing import Array

from .setup.presets import KTC_RADIUS

__all__ = [
    "CONDUCTIVE",
    "KTC",
    "RESISTIVE",
    "SIZE",
    "WATER",
    "labels",
    "pixels",
    "score",
    "segment",
    "similarity",
]

SIZE = 256
"""Pixels along each side."""
WATER, RESISTIVE, CONDUCTIVE = 0, 1, 2
SPREAD = 80.0
"""Standard deviation of the window in pixels; it is cut at twice that."""
C1, C2 = 1e-4, 9e-4
BINS = 256

Labels = NDArray[np.integer[Any]]


def pixels(radius: float = KTC_RADIUS) -> Array:
    """Centres of the pixels, shape (256, 256, 2), in m."""
    step = 2 * radius / SIZE
    x = -radius + step * (np.arange(SIZE) + 0.5)
    return np.stack(np.meshgrid(x, x[::-1]), axis=2)


def score(truth: Labels, guess: Labels) -> float:
    """Mean similarity of the two masks, at most 1; 0 for a guess of another shape.

    Raises:
        ShapeError: the truth is not 256 x 256.
    """
    if np.shape(truth) != (SIZE, SIZE):
        raise ShapeError(f"true labels: expected {SIZE} x {SIZE} pixels, got {np.shape(truth)}")
    if np.shape(guess) != (SIZE, SIZE):
        return 0.0
    masks = ((np.equal(truth, k), np.equal(guess, k)) for k in (CONDUCTIVE, RESISTIVE))
    return float(np.mean([similarity(a.astype(float), b.astype(float)) for a, b in masks]))


def similarity(a: Array, b: Array) -> float:
    """Mean structural similarity of two images under the wide window."""
    smooth = _window(a.shape)
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    below = (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    return float(np.mean(above / below))


def _window(shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """The Gaussian average over the part of the window that lies in the image."""
    reach = int(np.ceil(2 * SPREAD))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SPREAD) ** 2)

    def convolved(image: Array) -> Array:
        for axis in (0, 1):
            image = convolve1d(image, kernel, axis=axis, mode="constant")
        return image

    weight = convolved(np.ones(shape))
    return lambda image: convolved(image) / weight


def segment(image: Array) -> Labels:
    """Labels of a conductivity image by Otsu's method with three classes; the largest is water.

    Pixels below the water's class are resistive, above it conductive. NaN (outside the tank) is
    water.
    """
    inside = np.isfinite(image)
    low, high = _thresholds(image[inside])
    found = np.zeros(image.shape, dtype=np.int64)
    found[inside] = (image[inside] >= low).astype(np.int64) + (image[inside] > high)
    water = int(np.argmax(np.bincount(found[inside], minlength=3)))
    labels = np.where(found < water, RESISTIVE, np.where(found > water, CONDUCTIVE, WATER))
    return np.where(inside, labels, WATER)


def labels(truth: Array) -> Labels:
    """Labels of a true conductivity: what differs from its median by more than a fifth.

    NaN (outside the tank) is water.
    """
    water = np.nanmedian(truth)
    with np.errstate(invalid="ignore"):
        return np.select(
            [truth < 0.8 * water, truth > 1.25 * water], [RESISTIVE, CONDUCTIVE], WATER
        )


def _of_conductivities(truth: Array, guess: Array) -> float:
    """The score of the baseline segmentation of a guess.

    Its logarithm is segmented: a tenth of the water counts as much as ten times the water.
    """
    inside = np.isfinite(truth) & (guess > 0)
    image = np.log(np.where(inside, guess, 1.0))
    return score(labels(truth), segment(np.where(inside, image, np.nan)))


KTC = Metric(
    "score of the Kuopio Tomography Challenge 2023 after Otsu's segmentation of ln σ, at most 1",
    _of_conductivities,
    (SIZE, SIZE),
)


def _thresholds(values: Array) -> tuple[float, float]:
    """The two values that separate a histogram into classes of the largest spread between means."""
    if values.size == 0 or np.ptp(values) == 0:
        return -np.inf, np.inf
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * np.arange(1, BINS + 1))])
    # Between-class variance up to a constant: the sum over classes of moment² / weight. A class may
    # stay empty, so that an image of two values is separated as well.
    j, i = np.triu_indices(BINS, k=1)
    inner = j > 0
    j, i = j[inner], i[inner]
    total = np.zeros(len(j))
    for a, b in ((0, j), (j, i), (i, BINS)):
        total += (moment[b] - moment[a]) ** 2 / np.maximum(weight[b] - weight[a], 1)
    best = int(np.argmax(total))
    return float(centres[j[best] - 1]), float(centres[i[best] - 1])
