"""What a network is shown of data: coarse images where they lie on a grid, else a few modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from ..common.scaling import Pod, Standard
from ..common.split import Index

__all__ = ["Images", "Inputs", "Lattice", "Modes", "inputs_from", "lattice"]

FEWEST = 6
"""Places along each axis from which on data are taken for an image."""

FILLED = 0.2
"""The least share of the places of a lattice that have a datum: a body need not fill its box."""

UNEVEN = 1e-6
"""By how much steps of a lattice may differ, as a share of a step."""


class Inputs(Protocol):
    """Data as a network sees them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, ...) of an image, or the one length of a vector."""

    def __call__(self, data: Array) -> Array:
        """(n, n_obs), NaN where nothing was measured, to (n, product of ``shape``)."""

    def arrays(self) -> dict[str, Array]:
        """Its numbers, for storage."""


@dataclass(frozen=True)
class Lattice:
    """Which place of which image each datum has.

    Attributes:
        channel: number of the image, shape (n_obs,).
        at: number of the place along each axis, shape (n_obs, d).
        shape: places along each axis.
    """

    channel: Index
    at: Index
    shape: tuple[int, ...]


def lattice(sensors: Sensors, axes: Sequence[str]) -> Lattice | None:
    """The lattice that sensors lie on; None where they do not, or in one dimension.

    Args:
        sensors: coordinates of the data; those that are no axis (time, region) number images.
        axes: names of the axes, x first.
    """
    along = [a for a in reversed(axes) if a in sensors]
    if len(along) < 2:
        return None
    steps = [_numbered(np.asarray(sensors[a], dtype=np.float64)) for a in along]
    if any(s is None for s in steps):
        return None
    at = np.stack([s for s in steps if s is not None], axis=1)
    shape = tuple(int(n) + 1 for n in at.max(axis=0))
    others = [np.asarray(v, dtype=np.float64) for c, v in sensors.items() if c not in axes]
    kinds = np.stack([*others, np.zeros(len(at))], axis=1)
    channel = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
    images = int(channel.max()) + 1
    taken = len(np.unique(np.column_stack([channel, at]), axis=0))
    if min(shape) < FEWEST or taken < len(at) or taken < FILLED * images * np.prod(shape):
        return None
    return Lattice(channel.astype(np.intp), at, shape)


def _numbered(x: Array) -> Index | None:
    """The number of each value among evenly spaced ones; None where they are not."""
    values = np.unique(x)
    steps = np.diff(values)
    if not len(steps):
        return None
    step = float(steps.min())
    numbers = (x - values[0]) / step
    even = np.abs(numbers - np.round(numbers)) <= UNEVEN * len(values)
    return np.round(numbers).astype(np.intp) if even.all() else None


@dataclass(frozen=True)
class Images:
    """Means of the data in the cells of a coarse grid, one image for each time or region.

    Data are taken relative to their mean over the training, so that what was not measured says
    nothing, and divided by one number for each image.

    Attributes:
        cell: of each datum, images one behind the other, shape (n_obs,).
        shape: (images, ..., y, x).
        mean: of each datum, shape (n_obs,).
        scale: of each image, shape (images,).
    """

    cell: Index
    shape: tuple[int, ...]
    mean: Array
    scale: Array

    @classmethod
    def fit(cls, found: Lattice, cells: int, data: Array) -> Images:
        """With so many cells along an axis at most, of training data (n, n_obs)."""
        coarse = tuple(min(n, cells) for n in found.shape)
        at = found.at * np.array(coarse) // np.array(found.shape)
        images = int(found.channel.max()) + 1
        cell = np.ravel_multi_index((found.channel, *at.T), (images, *coarse)).astype(np.intp)
        mean = data.mean(axis=0)
        raw = cls(cell, (images, *coarse), mean, np.ones(images))
        spread = raw(data).reshape(len(data), images, -1).std(axis=(0, 2))
        return cls(cell, raw.shape, mean, np.where(spread > 0, spread, 1.0))

    def __call__(self, data: Array) -> Array:
        """Images (n, ...) flat, of data (n, n_obs)."""
        off = np.nan_to_num(data - self.mean, nan=0.0)
        n, size = len(self.cell), int(np.prod(self.shape))
        sums: Any = sparse.csr_array((np.ones(n), (np.arange(n), self.cell)), shape=(n, size))
        count = np.maximum(np.bincount(self.cell, minlength=size), 1)
        return np.asarray((off @ sums) / count / np.repeat(self.scale, size // len(self.scale)))

    def arrays(self) -> dict[str, Array]:
        """Its numbers."""
        numbers = {"cell": self.cell, "shape": self.shape}
        whole: dict[str, Any] = {k: np.asarray(v, dtype=np.int64) for k, v in numbers.items()}
        return {**whole, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Images:
        """The inverse of :meth:`arrays`."""
        shape = tuple(int(n) for n in a["shape"])
        return cls(a["cell"].astype(np.intp), shape, a["mean"], a["scale"])


@dataclass(frozen=True)
class Modes:
    """Coefficients of the data in their noise-whitened proper orthogonal modes.

    Attributes:
        pod: the modes.
        scale: of the coefficients, noise included.
    """

    pod: Pod
    scale: Standard

    @classmethod
    def fit(cls, values: Array, std: Array, most: int, data: Array) -> Modes:
        """Of predictions (n, n_obs) with σ (n_obs,), at most so many, scaled by data like them."""
        pod = Pod.fit(values, std, 0.1, most)
        return cls(pod, Standard.fit(pod.encode(data)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of modes."""
        return (self.pod.n_modes,)

    def __call__(self, data: Array) -> Array:
        """Coefficients (n, modes) of data (n, n_obs)."""
        return self.scale(self.pod.encode(np.where(np.isnan(data), self.pod.mean, data)))

    def arrays(self) -> dict[str, Array]:
        """Its numbers."""
        return {**self.pod.arrays(), "scale_mean": self.scale.mean, "scale_std": self.scale.std}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Modes:
        """The inverse of :meth:`arrays`."""
        return cls(Pod.from_arrays(a), Standard(a["scale_mean"], a["scale_std"]))


def inputs_from(arrays: Mapping[str, Array]) -> Images | Modes:
    """Whichever of the two the arrays are of.

    Raises:
        KeyError: of neither.
    """
    return Images.from_arrays(arrays) if "cell" in arrays else Modes.from_arrays(arrays)
