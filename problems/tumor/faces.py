"""What passes through the faces of voxels, from tissue that is sampled finer than they are.

Between the middles of two voxels a flux meets one tissue after another, whose resistances add up:
along it the harmonic mean of D counts. What flows side by side adds up, so that across it the
arithmetic mean counts: in this order a lower bound on what a block of several layers conducts
(Cardwell and Parsons 1945).
"""

from __future__ import annotations

import numpy as np

from pdeinv.typing import Array

from .config import TumorConfig
from .tissue import Tissue

__all__ = ["faces_of"]

_LAYERS = 16
"""Of voxels whose tissue is sampled at once: a bound on memory."""


def faces_of(config: TumorConfig, tissue: Tissue, counts: tuple[int, ...]) -> tuple[Array, ...]:
    """D through the lower face of each voxel along x, y, z, for D = 1 in white matter.

    Each voxel is cut in two along each axis. A face has 2^(d-1) pairs of such parts, one before and
    one behind it. Nothing passes through the sides of the box.

    Args:
        config: of the box.
        tissue: of it.
        counts: voxels along x, y, z.

    Returns:
        One array of shape ((nz,) ny, nx) for each axis.
    """
    fine = _sampled(config, tissue, counts)
    return tuple(_through(fine, fine.ndim - 1 - k) for k in range(fine.ndim))


def _sampled(config: TumorConfig, tissue: Tissue, counts: tuple[int, ...]) -> Array:
    """D in halves of voxels, ((2 nz,) 2 ny, 2 nx)."""
    pairs = zip(config.lengths, counts, strict=True)
    *axes, last = (length * (np.arange(2 * n) + 0.5) / (2 * n) for length, n in pairs)
    found = []
    for k in range(0, len(last), 2 * _LAYERS):
        part = (*axes, last[k : k + 2 * _LAYERS])
        white, grey = tissue.over(part)
        found.append((white + grey / config.ratio).reshape([len(a) for a in part[::-1]]))
    return np.concatenate(found)


def _through(fine: Array, axis: int) -> Array:
    """The mean over the pairs at each lower face along an axis."""
    moved = np.moveaxis(fine, axis, -1)
    before, behind = moved[..., 1:-1:2], moved[..., 2::2]
    total = before + behind
    each = np.divide(2 * before * behind, total, out=np.zeros_like(total), where=total > 0)
    for across in range(each.ndim - 1):
        halves = np.moveaxis(each, across, 0)
        each = np.moveaxis((halves[::2] + halves[1::2]) / 2, 0, across)
    found = np.zeros([*each.shape[:-1], each.shape[-1] + 1])
    found[..., 1:] = each
    return np.moveaxis(found, -1, axis)
