"""The voxels of a medical image: how many there are, how they lie in the world, in which order.

Programs store the same head in any of 48 orders of its axes. Here arrays are canonical: their axes
run along x to the right, y to the front and z up (RAS+), as nearly as the voxels allow, without
moving a voxel. The affine of the file is kept, and files are written in the order that it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv import extras
from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

__all__ = ["Form", "VoxelGrid", "nibabel"]

ALIKE = 0.05
"""How far voxels of two images may lie apart, in voxels, and still be the same ones."""

SCALED = 0.01
"""How far the sides of voxels, and the cosines between them, may differ from those of the head."""


def nibabel() -> Any:
    """The package that knows NIfTI.

    Raises:
        MissingDependency: it is not installed.
    """
    return extras.load("nibabel", "NIfTI images need")


@dataclass(frozen=True)
class Form:
    """One of the two placements in a NIfTI header, qform or sform.

    Attributes:
        matrix: indices of voxels to the world in units of the file, shape (4, 4).
        code: which world that is; 0 where the file does not say.
    """

    matrix: Array
    code: int


@dataclass(frozen=True)
class VoxelGrid:
    """The voxels of an image.

    Attributes:
        shape: how many along the three axes of the file.
        affine: indices of its voxels to mm in the world, shape (4, 4).
        qform, sform: what its header says, to be written again as it was.
        unit: of those, by NIfTI's name.
    """

    shape: tuple[int, int, int]
    affine: Array
    qform: Form | None = None
    sform: Form | None = None
    unit: str = field(default="mm")

    @classmethod
    def plain(cls, counts: tuple[int, ...], sides: tuple[float, ...]) -> VoxelGrid:
        """Voxels along x, y, z from the origin of the world on, whose outer corner lies there."""
        affine = np.diag([*sides, 1.0])
        affine[:3, 3] = np.array(sides) / 2
        placed = Form(affine, 2)
        a, b, c = counts
        return cls((a, b, c), affine, placed, placed)

    @cached_property
    def turns(self) -> NDArray[np.float64]:
        """By axis of the file, its canonical axis and whether it is flipped (−1)."""
        return np.asarray(nibabel().io_orientation(self.affine))

    @cached_property
    def canonical(self) -> Array:
        """Indices of canonical voxels to mm in the world, shape (4, 4)."""
        back = nibabel().orientations.inv_ornt_aff(self.turns, self.shape)
        return np.asarray(self.affine @ back)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Voxels along the canonical axes."""
        found = np.empty(3, dtype=int)
        found[self.turns[:, 0].astype(int)] = self.shape
        a, b, c = (int(n) for n in found)
        return a, b, c

    @property
    def sides(self) -> tuple[float, float, float]:
        """Of a voxel along the canonical axes, mm."""
        a, b, c = (float(h) for h in np.linalg.norm(self.canonical[:3, :3], axis=0))
        return a, b, c

    @property
    def axes(self) -> tuple[int, ...]:
        """The canonical axes with more than one voxel: three of a solid, two of a slice."""
        return tuple(k for k, n in enumerate(self.counts) if n > 1)

    @property
    def box_to_world(self) -> Array:
        """mm from the outer corner of the first canonical voxel to mm in the world, (4, 4)."""
        sides = np.array(self.sides)
        corner = np.diag([*(1 / sides), 1.0])
        corner[:3, 3] = -0.5
        return np.asarray(self.canonical @ corner)

    def in_order(self, stored: NDArray[Any]) -> NDArray[Any]:
        """An array of the file's order in canonical order."""
        return np.asarray(nibabel().apply_orientation(stored, self.turns))

    def as_stored(self, canonical: NDArray[Any]) -> NDArray[Any]:
        """An array of canonical order in that of the file."""
        tools = nibabel().orientations
        still = np.array([[0, 1], [1, 1], [2, 1]])
        return np.asarray(
            tools.apply_orientation(canonical, tools.ornt_transform(still, self.turns))
        )

    def check_rigid(self, pixdim: Array, name: str) -> None:
        """Refuse an affine that scales or shears the head, such as one to a template.

        Args:
            pixdim: sides of the file's voxels in its header, mm.
            name: of the file, for the message.

        Raises:
            DataSchemaError: lengths in the world would not be those of the head.
        """
        columns = self.affine[:3, :3]
        sides = np.linalg.norm(columns, axis=0)
        cosines = (columns / sides).T @ (columns / sides) - np.eye(3)
        if np.abs(cosines).max() > SCALED:
            raise DataSchemaError(
                f"{name}: its affine shears the head (cosine {np.abs(cosines).max():.2g} between "
                "axes), so that lengths are not those of the head; resample it to a grid with "
                "right angles"
            )
        if not (np.abs(sides - pixdim) <= SCALED * sides).all():  # NaN is refused as well
            raise DataSchemaError(
                f"{name}: its affine makes voxels of {_by(sides)} mm, its header (pixdim) says "
                f"{_by(pixdim)} mm; the affine may lead to a template: set it to that of the scan"
            )

    def apart(self, other: VoxelGrid) -> float:
        """How far corners of two images lie apart at most, in voxels; infinite where counts do."""
        if self.counts != other.counts:
            return float("inf")
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in self.counts], [1])).reshape(4, -1)
        gap = np.linalg.norm(((self.canonical - other.canonical) @ ends)[:3], axis=0)
        return float(gap.max()) / min(self.sides)

    def check_same(self, other: VoxelGrid, name: str, reference: str) -> None:
        """Refuse an image whose voxels are not those of another.

        Args:
            other: its voxels.
            name: of the image.
            reference: name of the image whose voxels these are.

        Raises:
            DataSchemaError: with what differs.
        """
        if self.counts != other.counts:
            raise DataSchemaError(
                f"{name} has {_by(other.counts)} voxels, {reference} has {_by(self.counts)}; "
                f"resample it to the voxels of {reference}"
            )
        apart = self.apart(other)
        if apart > ALIKE:
            raise DataSchemaError(
                f"{name} lies elsewhere than {reference}: by their affines, voxels of the same "
                f"place are up to {apart:.3g} voxels apart; resample it to the voxels of "
                f"{reference}"
            )


def _by(numbers: Any) -> str:
    return " x ".join(f"{n:.4g}" for n in numbers)
