"""The tensor of diffusion: cells spread along fibres faster than across them.

D(x) = D_w (white + grey/ratio) T(x), T symmetric and without unit: one tensor for the whole box, or
an image of six components in each voxel, as diffusion imaging gives it. An image is scaled so that
the mean of its mean diffusivities (tr T / 3) over the tissue is one; its eigenvalues are cut to
between 0 and ``cap``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.nifti import read_components
from pdeinv.typing import Array

from .maps import Maps, averaged, in_box
from .tensor_config import TensorConfig, matrix

__all__ = ["Tensor", "check_diagonal", "tensor_of"]

ORDERS: Mapping[str, str] = {
    "nifti": "xx xy yy xz yz zz",
    "fsl": "xx xy xz yy yz zz",
    "mrtrix": "xx yy zz xy xz yz",
}
"""Which component is where, by whose convention it is."""
NONE = 1e-9
"""Entries of a tensor that count as zero."""


@dataclass(frozen=True)
class Tensor:
    """T on the voxels of an image, or one for all.

    Attributes:
        values: ((nz,) ny, nx, d, d), or (d, d).
        axes: middles of the voxels along x, y, z; empty for one tensor.
    """

    values: Array
    axes: tuple[Array, ...] = ()

    def over(self, axes: tuple[Array, ...]) -> Array:
        """In voxels with middles on ``axes``, x fastest, (n, d, d): averages, as of tissue."""
        d, n = self.values.shape[-1], int(np.prod([len(a) for a in axes]))
        if not self.axes:
            return np.broadcast_to(self.values, (n, d, d)).copy()
        found = np.empty((n, d, d))
        for i, j in np.ndindex(d, d):
            found[:, i, j] = averaged(self.values[..., i, j], self.axes, axes).ravel()
        return found


def tensor_of(config: TensorConfig, tissue: Any, dim: int, threshold: float) -> Tensor:
    """The tensor that a configuration describes.

    Raises:
        DataSchemaError: an image of other voxels, or one that shows no diffusion in the tissue.
    """
    if config.uniform is not None:
        found = Tensor(matrix(config.uniform, dim))
    else:
        assert isinstance(tissue, Maps)
        assert config.path is not None
        found = Tensor(_of_image(config, config.path, tissue, threshold), tissue.axes)
    keep = np.eye(dim) if config.diagonal else np.ones((dim, dim))
    return Tensor(found.values * keep, found.axes)


def _of_image(config: TensorConfig, path: Path, maps: Maps, threshold: float) -> Array:
    """The image in the box, normalised and capped, ((nz,) ny, nx, d, d)."""
    image = read_components(path, 6)
    maps.grid.check_same(image.grid, str(path), "white")
    each = dict(zip(ORDERS[config.order].split(), np.moveaxis(image.values, -1, 0), strict=True))
    rows = [[each["".join(sorted(a + b))] for b in "xyz"] for a in "xyz"]
    values = np.moveaxis(np.array(rows), (0, 1), (-2, -1))  # (nx, ny, nz, 3, 3)
    along = _unit(image.grid.canonical)
    turn = along.T if config.frame == "world" else along.T @ _unit(image.grid.affine)
    values = turn @ values @ turn.T
    scale = _mean(values, maps, threshold, path)
    size, vectors = np.linalg.eigh(values / scale)
    size = np.clip(size, 0.0, config.cap)
    capped = (vectors * size[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    own = list(maps.grid.axes)
    block = capped[..., own, :][..., own]
    shape = maps.white.shape
    boxed = np.stack([in_box(block[..., i, j]) for i, j in np.ndindex(len(own), len(own))], -1)
    return np.asarray(boxed.reshape(*shape, len(own), len(own)))


def _unit(affine: Array) -> Array:
    """The directions of an affine's axes, as columns."""
    return np.asarray(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))


def _mean(values: Array, maps: Maps, threshold: float, path: Path) -> float:
    """The mean of tr T / 3 over the tissue.

    Raises:
        DataSchemaError: it is not positive.
    """
    trace = in_box(np.trace(values, axis1=-2, axis2=-1)) / 3
    found = float(trace[maps.white + maps.grey >= threshold].mean())
    if not found > 0:
        raise DataSchemaError(
            f"{path}: its mean diffusivity in white and grey matter is {found:.3g}; expected a "
            "tensor of diffusion, in the order and frame that [problem.tensor] says"
        )
    return found


def check_diagonal(tensor: Array) -> None:
    """Refuse entries off the diagonal, which finite differences along lines do not know.

    Raises:
        ConfigError: some are there.
    """
    d = tensor.shape[-1]
    off = np.abs(tensor * (1 - np.eye(d))).max(initial=0.0)
    if off > NONE * np.abs(tensor).max(initial=0.0):
        raise ConfigError(
            "solver 'finite-differences' takes tensors along the axes of the box alone, as only "
            "those keep c between 0 and 1; give --set problem.tensor.diagonal=true, which leaves "
            "the other entries out, or --set 'problem.solver=\"finite-elements\"'"
        )
