"""The part of a discrepancy that is affine in the coarse data: y = (c - centre) W.

W, as many numbers as data squared, goes through a few modes: W = L R. Few data are faster by the
product, while that of many does not fit in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.typing import Array

from .kernel_ridge import Affine

__all__ = ["Factored", "coarse_part", "of_arrays"]

MOST = 4000
"""Data above which W is kept in its factors: 128 MB of it."""


@dataclass(frozen=True)
class Factored:
    """y = (c - centre) L R.

    Attributes:
        centre: shape (n_obs,).
        left: L, shape (n_obs, k).
        right: R, shape (k, n_obs).
    """

    centre: Array
    left: Array
    right: Array

    def __call__(self, c: Array) -> Array:
        """The value at (..., n_obs)."""
        return self.jvp(c - self.centre)

    def jvp(self, dc: Array) -> Array:
        """The change along ``dc``."""
        return np.asarray((dc @ self.left) @ self.right)

    def vjp(self, w: Array) -> Array:
        """The adjoint action on ``w``."""
        return np.asarray((w @ self.right.T) @ self.left.T)

    def and_itself(self, x: Array) -> Array:
        """X (I + W), rows X."""
        return x + self.jvp(x)

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return {
            "coarse_centre": self.centre, "coarse_left": self.left, "coarse_right": self.right
        }  # fmt: skip


@dataclass(frozen=True)
class Whole(Affine):
    """The same by W."""

    def and_itself(self, x: Array) -> Array:
        """X (I + W), rows X."""
        return np.asarray(x @ (np.eye(len(self.matrix)) + self.matrix))

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return {"coarse_centre": self.centre, "coarse_matrix": self.matrix}


def coarse_part(centre: Array, left: Array, right: Array) -> Whole | Factored:
    """By W where that is small enough."""
    n = len(centre)
    if n > MOST:
        return Factored(centre, left, right)
    return Whole(centre, left @ right, np.zeros(n))


def of_arrays(a: Mapping[str, Any]) -> Whole | Factored:
    """The inverse of ``arrays``."""
    centre = a["coarse_centre"]
    if "coarse_left" in a:
        return Factored(centre, a["coarse_left"], a["coarse_right"])
    return Whole(centre, a["coarse_matrix"], np.zeros(len(centre)))
