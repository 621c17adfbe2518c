"""Affine maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Affine"]


@dataclass(frozen=True)
class Affine:
    """y = offset + (z - centre) W.

    Attributes:
        centre: shape (n_z,).
        matrix: W, shape (n_z, n_y).
        offset: shape (n_y,).
    """

    centre: Array
    matrix: Array
    offset: Array

    def __call__(self, z: Array) -> Array:
        """The value at (..., n_z)."""
        return np.asarray(self.offset + (z - self.centre) @ self.matrix)

    def jvp(self, dz: Array) -> Array:
        """The change along ``dz``."""
        return np.asarray(dz @ self.matrix)

    def vjp(self, w: Array) -> Array:
        """The adjoint action on ``w``."""
        return np.asarray(self.matrix @ w)
