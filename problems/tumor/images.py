"""Concentrations on the voxels of medical images, and in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pdeinv.errors import ConfigError
from pdeinv.io.voxel_grid import VoxelGrid
from pdeinv.plugins.portrait import Portrait
from pdeinv.plugins.problem import Images
from pdeinv.typing import Array

from .config import TumorConfig
from .fields import CONCENTRATION
from .maps import Maps, averaged
from .masks import REGIONS
from .model import Discretisation, history
from .tissue import Tissue
from .unknown import parameters

__all__ = ["OEDEMA", "ENHANCING", "images_of", "portrait_of"]

OEDEMA, ENHANCING = 2, 4
"""Labels of BraTS for what is above the first threshold, and above the second."""
GREY = 0.45
"""How bright grey matter is beside white."""
HALF = "half of the most that fits"
"""What is outlined where no thresholds are part of the model."""


def portrait_of(tissue: Tissue, on: Discretisation) -> Portrait | None:
    """The states of one level on the same voxels, for figures; None of a line.

    White matter is brighter than grey, as in most scans, and the rest is left out.

    Args:
        tissue: of the box.
        on: the equation on the level.
    """
    shown, config = _Shown(tissue, on), on.config
    if config.dim < 2:
        return None
    shape = [len(a) for a in shown.axes[::-1]]
    white, grey = (part.reshape(shape) for part in shown.parts)
    ground = np.where(white + grey >= config.threshold, white + GREY * grey, np.nan)
    axes = dict(zip("xyz", shown.axes, strict=False))
    return Portrait(
        CONCENTRATION, "mm", axes, ground, shown.last, shown.held, shown.cells,
        partial(levels_of, config),
    )  # fmt: skip


def images_of(tissue: Tissue, on: Discretisation) -> Images:
    """The states of one level on the voxels of the tissue's image; of its own voxels without one.

    Args:
        tissue: of the box.
        on: the equation on the level.
    """
    shown = _Shown(tissue, on)
    return Images("density", shown.grid, shown.last, shown.volume, shown.fields)


def levels_of(config: TumorConfig, m: Array) -> dict[str, float]:
    """The thresholds of masks; of other data half of the most that fits."""
    found = parameters(config, m[:, None]).thresholds[:, 0]
    seen = dict(zip(REGIONS, found.tolist(), strict=False))
    return seen or {HALF: 0.5}


@dataclass(frozen=True)
class _Shown:
    """States on a lattice, and voxels to show them on."""

    tissue: Tissue
    on: Discretisation

    @cached_property
    def grid(self) -> VoxelGrid:
        """Of the image of white matter, or of plain voxels whose first corner is the origin."""
        if isinstance(self.tissue, Maps):
            return self.tissue.grid
        counts = [len(a) for a in self.axes]
        sides = [float(a[1] - a[0]) for a in self.axes]
        flat = 3 - len(counts)
        return VoxelGrid.plain((*counts, *[1] * flat), (*sides, *[1.0] * flat))

    @cached_property
    def axes(self) -> tuple[Array, ...]:
        """The middles of the voxels along x, y, z of the box."""
        if isinstance(self.tissue, Maps):
            return self.tissue.axes
        config, level = self.on.config, self.on.level
        counts = (n << level if level >= 0 else n >> -level for n in config.counts)
        return tuple(
            length * (np.arange(n) + 0.5) / n
            for length, n in zip(config.lengths, counts, strict=True)
        )

    @cached_property
    def parts(self) -> tuple[Array, Array]:
        """White and grey matter in the voxels."""
        return self.tissue.over(self.axes)

    @cached_property
    def _nearest(self) -> tuple[NDArray[Any], ...]:
        """For each point of the lattice the nearest active one."""
        lattice = self.on.lattice
        found = distance_transform_edt(
            ~lattice.active, lattice.spacing[::-1], return_distances=False, return_indices=True
        )
        return tuple(np.asarray(found))

    def _canonical(self, of_box: Array) -> Array:
        """Values ((nz,) ny, nx) in the order of images."""
        return np.asarray(of_box.T.reshape(self.grid.counts))

    def last(self, m: Array) -> Array:
        """c of the last scan on the lattice."""
        clock = self.on.clock
        on = replace(self.on, clock=replace(clock, stored=clock.steps))
        return np.asarray(history(on, m)[1][-1])

    def held(self, fields: xr.Dataset) -> Array:
        """c of the last time of a dataset."""
        return np.asarray(fields["c"][-1], dtype=np.float64)

    def volume(self, state: Array) -> Array:
        """A state on the voxels in the order of images, zero without tissue."""
        return self._canonical(self.cells(state))

    def cells(self, state: Array) -> Array:
        """A state on the voxels, ((nz,) ny, nx), zero without tissue."""
        lattice = self.on.lattice
        whole = np.zeros(lattice.active.shape)
        whole[lattice.active] = state
        found = averaged(whole[self._nearest], lattice.axes, self.axes)
        white, grey = self.parts
        inside = (white + grey).reshape(found.shape) >= self.on.config.threshold
        return np.where(inside, found, 0.0)

    def fields(
        self, fields: xr.Dataset, thresholds: Sequence[float], time: float | None
    ) -> dict[str, NDArray[Any]]:
        """Density of a stored time, the tissue and, with thresholds, a segmentation."""
        density = self.volume(np.asarray(fields["c"][_at(fields, time)], dtype=np.float64))
        shape = [len(a) for a in self.axes[::-1]]
        white, grey = (self._canonical(part.reshape(shape)) for part in self.parts)
        found = {"density": density, "white": white, "grey": grey}
        return {**found, **_segmented(density, thresholds)}


def _at(fields: xr.Dataset, time: float | None) -> int:
    """The place of a time among those that a file holds, the last where none is given.

    Raises:
        ConfigError: the file does not hold it.
    """
    held = np.asarray(fields["time"], dtype=np.float64)
    k = -1 if time is None else int(np.abs(held - time).argmin())
    if time is not None and abs(held[k] - time) > 1e-6 * max(1.0, abs(time)):
        raise ConfigError(
            f"--time {time:g}: the file holds {len(held)} times, the nearest is {held[k]:g}; "
            "choose that, or solve with other time.steps and time.stored"
        )
    return k


def _segmented(density: Array, thresholds: Sequence[float]) -> dict[str, NDArray[Any]]:
    """Labels as of BraTS: oedema above the first threshold, enhancing tumor above the second.

    Raises:
        ConfigError: more than two thresholds, in another order, or no concentrations.
    """
    if not thresholds:
        return {}
    ordered = all(np.diff([0.0, *thresholds, 1.0]) > 0)  # NaN fails the comparison
    if len(thresholds) > 2 or not ordered:
        raise ConfigError(
            f"--threshold: expected that of the whole tumor, between 0 and 1, and a higher one of "
            "its core, got "
            f"{', '.join(f'{v:g}' for v in thresholds)}"
        )
    labels = np.zeros(density.shape, dtype=np.uint8)
    for label, least in zip((OEDEMA, ENHANCING), thresholds, strict=False):
        labels[density > least] = label
    return {"segmentation": labels}
