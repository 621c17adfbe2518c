"""White and grey matter from maps of medical images (NIfTI): tissue that was segmented.

The box is the block of voxels of the white matter's image, in canonical order; its coordinates are
mm from the outer corner of the first voxel along the axes of the voxels, however those lie in the
world. An image of one slice makes a plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import DataSchemaError
from pdeinv.io.nifti import Volume, read_volume
from pdeinv.io.voxel_grid import VoxelGrid
from pdeinv.model.multilinear import multilinear
from pdeinv.typing import Array

from .config import NiftiConfig, TumorConfig
from .image_box import box_of, lengths_of
from .lattice import overlaps

__all__ = ["Maps", "averaged", "in_box", "read_maps"]

SCALES = {1: (0.5, 1.05), 100: (50.0, 105.0), 255: (150.0, 255.5)}
"""What maps are parts of, and between what their largest value then lies."""
BEYOND = 0.05
"""How far interpolated maps may go below nothing and beyond the whole, in parts. A map whose
largest value is less than that has another scale than the rest."""


@dataclass(frozen=True)
class Maps:
    """White and grey matter on the voxels of an image.

    Attributes:
        grid: the voxels.
        white: parts of white matter, shape ((nz,) ny, nx).
        grey: of grey matter.
        notes: what is odd about the images, in words.
    """

    grid: VoxelGrid
    white: Array
    grey: Array
    notes: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[Array, ...]:
        """The middles of the voxels along x, y, z of the box."""
        return tuple(h * np.arange(0.5, n) for n, h in box_of(self.grid))

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """The parts at points (n, d), linear in each coordinate between the middles of voxels."""
        weights = multilinear(self.axes, points)
        return weights @ self.white.ravel(), weights @ self.grey.ravel()

    def over(self, axes: tuple[Array, ...]) -> tuple[Array, Array]:
        """The parts in voxels with their middles on ``axes``, x fastest.

        Averages where they are no finer than those of the image, else linear between them.
        """
        white, grey = (averaged(part, self.axes, axes) for part in (self.white, self.grey))
        return white.ravel(), grey.ravel()


def averaged(values: Array, own: tuple[Array, ...], axes: tuple[Array, ...]) -> Array:
    """Values on voxels, of shape ((nz,) ny, nx), on other voxels of the same box.

    Args:
        values: on voxels with their middles on ``own``.
        own: along x, y, z.
        axes: middles of the other voxels.

    Returns:
        Along an axis where those are no finer, the average over each; where they are finer, linear
        between the middles.
    """
    found = np.asarray(values, dtype=np.float64)
    for k, (old, new) in enumerate(zip(own, axes, strict=True)):
        at = found.ndim - 1 - k
        moved = np.moveaxis(found, at, 0)
        flat = _between(old, new) @ moved.reshape(len(old), -1)
        found = np.moveaxis(np.asarray(flat).reshape(len(new), *moved.shape[1:]), 0, at)
    return found


def _between(old: Array, new: Array) -> sparse.csr_array:
    """The weights of voxels along one axis for others, rows with sum one."""
    edge = float(new[1] - new[0])
    if edge < (1 - 1e-9) * float(old[1] - old[0]):
        return sparse.csr_array(multilinear((old,), new[:, None]))
    found = overlaps(old, new, edge)
    total = np.asarray(found.sum(axis=1)).ravel()
    scale = sparse.diags_array(1 / np.maximum(total, 1e-300))
    return sparse.csr_array(scale @ found)


def read_maps(config: TumorConfig, kind: NiftiConfig) -> Maps:
    """The maps that a configuration names.

    Raises:
        DataSchemaError: an image that is none, of other voxels, or no map of tissue.
        MissingDependency: nibabel is not installed.
    """
    white = read_volume(kind.white)
    _check_lengths(config, white.grid, kind.white)
    volumes = {kind.white: white}
    for path in (kind.grey, kind.csf):
        if path is not None:
            volumes[path] = read_volume(path)
            white.grid.check_same(volumes[path].grid, str(path), str(kind.white))
    parts = _parts(volumes, kind)
    whole = np.maximum(sum(parts.values()), 1.0)
    notes = tuple(v.note for v in volumes.values() if v.note)
    white_part, grey_part = (in_box(parts[p] / whole) for p in (kind.white, kind.grey))
    return Maps(white.grid, white_part, grey_part, notes)


def in_box(canonical: NDArray[Any]) -> NDArray[Any]:
    """An array (nx, ny, nz) as the box has it, ((nz,) ny, nx)."""
    return np.ascontiguousarray(np.squeeze(canonical.T))


def _check_lengths(config: TumorConfig, grid: VoxelGrid, path: Path) -> None:
    found = lengths_of(grid, path)
    if len(found) != len(config.lengths) or not np.allclose(found, config.lengths, rtol=1e-3):
        raise DataSchemaError(
            f"problem.lengths are {_by(config.lengths)} mm, {path} has {_by(found)} mm; leave "
            "lengths out, and they are those of the image"
        )


def _parts(volumes: dict[Path, Volume], kind: NiftiConfig) -> dict[Path, Array]:
    """The maps in parts of one.

    Raises:
        DataSchemaError: no white matter, values that are no parts, or of an unknown scale.
    """
    largest = {path: float(v.values.max()) for path, v in volumes.items()}
    if largest[kind.white] <= 0:
        raise DataSchemaError(f"{kind.white} holds no white matter: its largest value is 0")
    scale = kind.scale or _scale(largest)
    found = {}
    for path, volume in volumes.items():
        least, most = float(volume.values.min()) / scale, largest[path] / scale
        if least < -BEYOND or most > 1 + BEYOND or 0 < most < BEYOND:
            raise DataSchemaError(
                f"{path} holds values from {scale * least:.4g} to {scale * most:.4g}; expected "
                f"parts of {scale:g}, as of the other maps"
            )
        found[path] = np.clip(volume.values / scale, 0.0, 1.0)
    return found


def _scale(largest: dict[Path, float]) -> float:
    """What the maps are parts of, by the largest value of all: they belong together."""
    path = max(largest, key=lambda p: largest[p])
    for scale, (low, high) in SCALES.items():
        if low <= largest[path] <= high:
            return float(scale)
    raise DataSchemaError(
        f"{path}: its largest value is {largest[path]:.4g}, which may be parts of 1, 100 or "
        "255, or labels; say it by scale = 1, 100 or 255 if it is a map of parts"
    )


def _by(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{n:.6g}" for n in numbers)
