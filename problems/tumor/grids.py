"""The voxels of a level that hold tissue, with their diffusivity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.levels import counts_of
from pdeinv.typing import Array

from .config import TumorConfig
from .lattice import Lattice
from .tensor import Tensor
from .tissue import Tissue

__all__ = ["Voxels", "voxels"]


@dataclass(frozen=True)
class Voxels:
    """Voxels, some of them of tissue, in which cells spread.

    Attributes:
        centres: their middles, active where there is tissue.
        diffusivity: D there for D = 1 in white matter, shape (n,).
        tensor: what that is multiplied by, shape (n, d, d); None for one number in all directions.
        faces: D through the lower face of each voxel along x, y, z, on the whole grid; None where
            the mean of the two voxels counts.
    """

    centres: Lattice
    diffusivity: Array
    tensor: Array | None = None
    faces: tuple[Array, ...] | None = None

    def along(self, axis: int) -> Array:
        """D along an axis of the box, or what D of faces is multiplied by, shape (n,)."""
        own = self.diffusivity if self.faces is None else np.ones(self.centres.size)
        return own if self.tensor is None else np.asarray(own * self.tensor[:, axis, axis])

    def directed(self, tensor: Tensor) -> Voxels:
        """The same with a tensor."""
        every = tensor.over(self.centres.axes)
        return replace(self, tensor=every[self.centres.active.ravel()])

    @property
    def corners(self) -> Lattice:
        """The corners of the voxels, active where one of their voxels is."""
        axes = tuple(
            np.linspace(a[0] - h / 2, a[-1] + h / 2, len(a) + 1)
            for a, h in zip(self.centres.axes, self.centres.spacing, strict=True)
        )
        inside = self.centres.active
        found = np.zeros([n + 1 for n in inside.shape], dtype=np.bool_)
        for upper in product((0, 1), repeat=inside.ndim):
            part = tuple(slice(u, n + u) for u, n in zip(upper, inside.shape, strict=True))
            found[part] |= inside
        return Lattice(axes, found)


def voxels(config: TumorConfig, tissue: Tissue, level: int) -> Voxels:
    """Those of a level: halved per level.

    Raises:
        ConfigError: no voxels of that level, or none of them holds tissue.
    """
    counts = counts_of(config.counts, level)
    pairs = list(zip(config.lengths, counts, strict=True))
    if min(counts) < 2:
        raise ConfigError(f"level {level}: {min(counts)} voxel along a side; expected at least 2")
    axes = tuple(length * (np.arange(n) + 0.5) / n for length, n in pairs)
    white, grey = tissue.over(axes)
    inside = white + grey >= config.threshold
    if not inside.any():
        raise ConfigError(
            f"level {level}: no voxel is tissue to at least {config.threshold:g}; give more cells, "
            "or a lower threshold"
        )
    diffusivity = white + grey / config.ratio
    return Voxels(Lattice(axes, inside.reshape(counts[::-1])), diffusivity[inside])
