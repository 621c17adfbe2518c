"""What a user may set of the tensor of diffusion."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Finite, Positive
from pdeinv.typing import Array

__all__ = ["TensorConfig", "matrix"]

COMPONENTS = {1: 1, 2: 3, 3: 6}
"""Numbers of a symmetric matrix, by its dimension."""
ROUNDING = 1e-9
"""By how much an eigenvalue may be off, relatively."""


class TensorConfig(Config):
    """The table ``[problem.tensor]``: cells spread along fibres faster than across them."""

    uniform: tuple[Finite, ...] | None = Field(
        None,
        description="one tensor everywhere, relative to D: xx, xy, yy in the plane, and xz, yz, zz "
        "in a solid",
    )
    path: Path | None = Field(
        None, description="or an image of six components on the voxels of the map of white matter"
    )
    order: Literal["nifti", "fsl", "mrtrix"] = Field(
        "nifti",
        description="of the image: xx xy yy xz yz zz, xx xy xz yy yz zz or xx yy zz xy xz yz",
    )
    frame: Literal["world", "voxels"] = Field(
        "world", description="along which axes the image's components are: of the world, or of the "
        "voxels in the order of the file",
    )  # fmt: skip
    cap: Positive = Field(
        10.0,
        description="largest eigenvalue: an image, relative to its mean diffusivity, is cut to it; "
        "a uniform tensor with a larger one is refused",
    )
    diagonal: bool = Field(
        False, description="keep the entries along the axes of the box and leave out the others"
    )

    @model_validator(mode="after")
    def _one(self) -> TensorConfig:
        if (self.uniform is None) == (self.path is None):
            raise ValueError("give uniform, the components of one tensor, or path, an image")
        return self

    def check(self, dim: int, *, image: bool) -> None:
        """Refuse what does not fit the box.

        Raises:
            ValueError: another number of components, a tensor that is not positive or above the
                cap, or no image of tissue to place the components on.
        """
        if self.path is not None and not image:
            raise ValueError("tensor.path goes with tissue of kind 'nifti'; use tensor.uniform")
        if self.uniform is None:
            return
        if len(self.uniform) != COMPONENTS[dim]:
            raise ValueError(
                f"tensor.uniform: expected {COMPONENTS[dim]} numbers in {dim} dimensions, got "
                f"{len(self.uniform)}"
            )
        eigenvalues = np.linalg.eigvalsh(matrix(self.uniform, dim))
        if eigenvalues.min() <= 0:
            raise ValueError("tensor.uniform must be positive definite: D is positive in all ways")
        if eigenvalues.max() > self.cap * (1 + ROUNDING):
            raise ValueError(
                f"tensor.uniform: its largest eigenvalue is {eigenvalues.max():g}, above "
                f"tensor.cap of {self.cap:g}; give smaller numbers, or a larger cap"
            )


def matrix(lower: tuple[float, ...], dim: int) -> Array:
    """The symmetric matrix (dim, dim) of its lower triangle, row by row."""
    found = np.zeros((dim, dim))
    found[np.tril_indices(dim)] = lower
    return np.asarray(found + np.tril(found, -1).T)
