"""A Gaussian field whose spread grows downwards, as does what the data leave open.

Waves spread on their way down and back, so that data near the top say far more about the velocity
there than about what lies deep, in the square of the depth for line sources. A prior that is
narrower at the top evens the curvature of the misfit in whitened coordinates: the weighting by
depth of waveform inversion (Plessix and Mulder 2004), as a statement about the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.fields.base import GaussianField
from pdeinv.typing import Array

from .unknown_config import BoundedConfig

__all__ = ["Deepening", "deepening"]


@dataclass(frozen=True)
class Deepening:
    """x = mean + D L xi with a diagonal D, of a field x = mean + L xi.

    Attributes:
        field: L.
        mean: of x, shape (size,).
        share: the diagonal of D, shape (size,).
    """

    field: GaussianField
    mean: Array
    share: Array

    @property
    def dim(self) -> int:
        """That of the field."""
        return self.field.dim

    def apply(self, xi: Array) -> Array:
        """D L xi."""
        return np.asarray(self.share * self.field.apply(xi))

    def apply_transpose(self, w: Array) -> Array:
        """Lᵀ D w."""
        return self.field.apply_transpose(self.share * w)


def deepening(field: GaussianField, kind: BoundedConfig, places: Array) -> GaussianField:
    """The field with ``top_std`` at the top and ``std`` at the bottom, linear between.

    Args:
        field: of standard deviation ``std``.
        kind: the table of the unknown.
        places: of its nodes, shape (n, 2).
    """
    if kind.top_std is None:
        return field
    depth = places[:, 1] / places[:, 1].max()
    return Deepening(field, field.mean, 1 + (kind.top_std / kind.std - 1) * (1 - depth))
