"""Segmentations as people draw them: contours of a known density, off by millimetres at a time.

The density of a solve is put on voxels of 1 mm, linearly, and goes on beyond the tissue as it is at
the nearest of it, so that a contour does not end at a ventricle. The signed distance from
{c > threshold} there (Euclidean, between middles of voxels: 0.5 mm off at most) plus a Gaussian
field is above zero where somebody sees tumor: the contour moves along its normal. A data voxel is
seen where more than half of it is. The field has the covariance sd² exp(−r²/(2 length²)). Whole
tumor and core have fields of their own; what is core is tumor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pdeinv.model.observed import Sensors
from pdeinv.problems.tumor import Tumor
from pdeinv.problems.tumor.lattice import Lattice
from pdeinv.problems.tumor.masks import REGIONS
from pdeinv.problems.tumor.model import history
from pdeinv.typing import Array

__all__ = ["Density", "Hand", "density", "drawable", "level_errors", "segmented"]

FINE = 1.0
"""Edge of the voxels on which contours are drawn, mm."""

FAINT, MARGIN = 0.02, 12.0
"""The box to draw in: where c is above so much, and so many mm around it."""
NEAR = 3.0
"""Within so many mm of a contour its area is counted."""

Volume = NDArray[Any]


@dataclass(frozen=True)
class Hand:
    """How far a contour is off.

    Attributes:
        sd: standard deviation of the field, mm.
        length: its correlation length, mm.
    """

    sd: float = 1.5
    length: float = 8.0

    def field(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """One draw on fine voxels: smoothed white noise."""
        width = self.length / np.sqrt(2) / FINE
        around = int(np.ceil(3 * width))
        white = rng.standard_normal([n + 2 * around for n in shape])
        smooth = ndimage.gaussian_filter(white, width, truncate=3.0, mode="wrap")
        found = smooth[(slice(around, -around),) * len(shape)]
        # the sum of squared weights of a Gaussian filter
        return np.asarray(self.sd * found * (2 * np.sqrt(np.pi) * width) ** (len(shape) / 2))


@dataclass(frozen=True)
class Density:
    """c of the last scan on fine voxels of a part of the box that holds the tumor.

    Attributes:
        c: shape (z, y, x), continued beyond the tissue.
        low: the corner of the part, mm, a multiple of the data voxels.
    """

    c: Volume
    low: Array


def density(problem: Tumor, m: Array, edge: float) -> Density:
    """That of a solve of ``problem`` on its own voxels.

    Args:
        problem: of a solid.
        m: its unknown.
        edge: of the data voxels, mm.
    """
    on = problem.discretisation(0)
    return drawable(on.lattice, history(on, m)[1][-1], problem.config.lengths, edge)


def drawable(lattice: Lattice, state: Array, lengths: tuple[float, ...], edge: float) -> Density:
    """That of c at the points of a lattice in a box with such sides, mm."""
    seen = lattice.points[state > FAINT]
    low = np.maximum(np.floor((seen.min(axis=0) - MARGIN) / edge) * edge, 0.0)
    high = np.minimum(np.ceil((seen.max(axis=0) + MARGIN) / edge) * edge, np.array(lengths))
    whole = np.zeros(lattice.active.shape)
    whole[lattice.active] = state
    # two points more on each side, to interpolate between
    part = [
        slice(max(int(np.searchsorted(a, lo)) - 2, 0), int(np.searchsorted(a, hi)) + 2)
        for a, lo, hi in zip(lattice.axes, low, high, strict=True)
    ]
    places = [
        (np.arange(lo + FINE / 2, hi, FINE) - a[p.start]) / (a[1] - a[0])
        for a, p, lo, hi in zip(lattice.axes, part, low, high, strict=True)
    ]
    return Density(_fine(_continued(whole, lattice.active, part[::-1]), places[::-1]), low)


def _continued(whole: Volume, active: Volume, part: list[slice]) -> Volume:
    """A part of the values, those without tissue as the nearest with it."""
    within = tuple(part)
    nearest = ndimage.distance_transform_edt(
        ~active[within], return_distances=False, return_indices=True
    )
    return np.asarray(whole[within][tuple(nearest)])


def _fine(values: Volume, places: list[Array]) -> Volume:
    """Linear between values along each axis; places count in them."""
    for axis, place in enumerate(places):
        size = values.shape[axis]
        left = np.clip(np.floor(place).astype(int), 0, size - 2)
        share = np.clip(place - left, 0.0, 1.0).reshape([-1 if k == axis else 1 for k in range(3)])
        values = np.take(values, left, axis) * (1 - share) + np.take(values, left + 1, axis) * share
    return values


def segmented(
    true: Density,
    thresholds: dict[str, float],
    places: Sensors,
    edge: float,
    rng: np.random.Generator,
    hand: Hand | None = None,
) -> Array:
    """Zeros and ones of whole tumor and core at data voxels.

    Args:
        true: the density.
        thresholds: of ``whole`` and ``core``.
        places: middles of data voxels with their regions, as of ``sensors("all")``.
        edge: of the data voxels, mm.
        rng: of the fields.
        hand: how far contours are off.

    Returns:
        Shape (n_d,).
    """
    hand = hand or Hand()
    drawn = [
        _distance(true.c > thresholds[name]) + hand.field(true.c.shape, rng) > 0 for name in REGIONS
    ]
    drawn[0] |= drawn[1]
    return _at(drawn, true.low, places, edge)


def level_errors(true: Density, threshold: float, hand: Hand | None = None) -> tuple[Array, Array]:
    """By how many mm³ a drawn contour is too large all over, and how probable that is.

    The mean of the field over the contour is what an estimate of its level cannot tell from the
    level. Its variance sd² 2π length²/A (1 − exp(−A/(2π length²))), A the area of the contour, is
    exact for a sphere.

    Returns:
        Nodes and weights of Gauss and Hermite.
    """
    hand, far = hand or Hand(), _distance(true.c > threshold)
    # distances between middles of voxels know no less than a few of them
    area = float(np.sum(np.abs(far) < NEAR)) * FINE**3 / (2 * NEAR)
    patches = area / (2 * np.pi * hand.length**2)
    off = hand.sd * np.sqrt((1 - np.exp(-patches)) / patches)
    moved, weights = np.polynomial.hermite_e.hermegauss(20)
    return area * off * moved, weights / weights.sum()


def _distance(inside: Volume) -> Volume:
    """Signed, in mm, positive inside; the contour lies half a voxel off the nearest middles."""
    if not inside.any():
        return np.full(inside.shape, -np.inf)
    within, beyond = (ndimage.distance_transform_edt(part) for part in (inside, ~inside))
    return np.asarray(FINE * np.where(inside, within - 0.5, 0.5 - beyond))


def _at(drawn: list[Volume], low: Array, places: Sensors, edge: float) -> Array:
    """What is seen in each data voxel, nothing outside of the drawn box."""
    n = round(edge / FINE)
    blocks = [
        d.reshape([k for size in d.shape for k in (size // n, n)]).mean(axis=(1, 3, 5)) > 0.5
        for d in drawn
    ]
    middles = np.stack([np.asarray(places[a]) for a in "zyx"])
    index = np.floor((middles - low[::-1, None]) / edge).astype(int)
    shape = np.array(blocks[0].shape)[:, None]
    inside = ((index >= 0) & (index < shape)).all(axis=0)
    region = np.asarray(places["region"]).astype(int) - 1
    found = np.zeros(len(region))
    found[inside] = np.stack(blocks)[(region[inside], *index[:, inside])]
    return found
