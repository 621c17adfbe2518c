"""The box that the voxels of a medical image fill: an axis for each with more than one voxel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.nifti import read_grid
from pdeinv.io.voxel_grid import VoxelGrid

__all__ = ["box_of", "lengths_of", "placed", "with_box"]

VOXEL = {2: 1.0, 3: 4.0}
"""About how long the sides of voxels are where they are not given, in a plane and a solid, mm."""


def box_of(grid: VoxelGrid) -> list[tuple[int, float]]:
    """Voxels of an image along the axes of the box, and their sides in mm."""
    return [(grid.counts[k], grid.sides[k]) for k in grid.axes]


def with_box(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table of a problem whose tissue is an image, with the box of that, and voxels of it.

    Only the header of the image is read, and only where the table has no lengths.

    Raises:
        DataSchemaError: no image, or one of a single line of voxels.
        MissingDependency: nibabel is not installed.
    """
    tissue = table.get("tissue")
    if not isinstance(tissue, Mapping) or tissue.get("kind") != "nifti" or "lengths" in table:
        return table
    white = tissue.get("white")
    if not isinstance(white, str | Path):
        return table  # what is wrong with it is said elsewhere
    lengths = lengths_of(read_grid(Path(white)), Path(white))
    cells = [max(2, round(length / VOXEL[len(lengths)])) for length in lengths]
    return {"cells": cells, **table, "lengths": lengths}


def lengths_of(grid: VoxelGrid, path: Path) -> tuple[float, ...]:
    """The sides of the box of voxels, mm.

    Raises:
        DataSchemaError: they are a single line.
    """
    found = tuple(round(n * h, 4) for n, h in box_of(grid))
    if len(found) < 2:
        raise DataSchemaError(
            f"{path} is a line of voxels; expected a slice or a solid of two voxels or more along "
            "each axis"
        )
    return found


def placed(path: Path) -> xr.Dataset:
    """The matrix from the box of an image to the world, as files hold it.

    Raises:
        DataSchemaError: no image.
        MissingDependency: nibabel is not installed.
    """
    attrs = {"units": "1", "long_name": "mm of the box, and 1, to mm of the world (RAS+), and 1"}
    return xr.Dataset({"box_to_world": (("world", "box"), read_grid(path).box_to_world, attrs)})
