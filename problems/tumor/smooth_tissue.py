"""Tissue with derivatives: the voxels of level 0 blended by cubic B-splines.

Blending keeps parts between 0 and 1, as interpolation by splines would not (de Boor 1978).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.model.strong_form import Side
from pdeinv.typing import Array

from .config import TumorConfig
from .tissue import Tissue

__all__ = ["SmoothTissue"]

_DEGREE = 3
_BEYOND = 2
"""Voxels beyond each end, of the tissue of the last one."""


@dataclass(frozen=True)
class SmoothTissue:
    """The part of tissue φ and φ κ, κ = white + grey/ratio the relative diffusivity.

    Attributes:
        parts: φ and φ κ on voxels and some beyond, ((nz,) ny, nx, 2).
        spacing: of the voxels along x, y, z.
    """

    parts: Array
    spacing: tuple[float, ...]

    @classmethod
    def of(cls, config: TumorConfig, tissue: Tissue) -> SmoothTissue:
        """That of the voxels of level 0."""
        pairs = list(zip(config.lengths, config.counts, strict=True))
        white, grey = tissue.over(tuple(length * (np.arange(n) + 0.5) / n for length, n in pairs))
        whole = white + grey
        both = np.stack([whole, whole * (white + grey / config.ratio)], axis=-1)
        box = both.reshape(*config.counts[::-1], 2)
        more = [(_BEYOND, _BEYOND)] * len(pairs)
        parts = np.pad(box, [*more, (0, 0)], mode="edge")
        return cls(parts, tuple(length / n for length, n in pairs))

    def reaches(self, side: Side, threshold: float) -> bool:
        """Whether there is tissue to at least that part at a side of the box."""
        at = self.parts.ndim - 2 - side.axis
        last = np.take(self.parts[..., 0], -1 if side.end else 0, axis=at)
        return bool(last.max() >= threshold)

    def at(self, places: Array) -> dict[str, Array]:
        """``tissue``, ``spread`` and its slopes ``spread_0``, ... at places (n, d), (n,) each."""
        from scipy.interpolate import NdBSpline

        counts = self.parts.shape[-2::-1]
        knots = [
            h * (np.arange(n + _DEGREE + 1) - 0.5 * (_DEGREE + 1) + 0.5 - _BEYOND)
            for h, n in zip(self.spacing, counts, strict=True)
        ]
        spline = NdBSpline(tuple(knots[::-1]), self.parts, _DEGREE)
        d = places.shape[1]
        tissue, spread = spline(places[:, ::-1]).T
        along = np.eye(d, dtype=np.int64)[:, ::-1].copy()
        slopes = {f"spread_{k}": spline(places[:, ::-1], nu=along[k])[:, 1] for k in range(d)}
        return {"tissue": tissue, "spread": spread, **slopes}
