"""Affine maps and their fit by ridge regression with the penalty chosen by generalised
cross-validation (Golub, Heath and Wahba 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Affine", "ridge"]


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


def ridge(z: Array, y: Array) -> Affine:
    """The affine map that minimises ‖y - A(z)‖² + λ ‖W‖², the intercept free of penalty.

    λ minimises the generalised cross-validation score ‖residual‖² / (1 - df/n)².

    Args:
        z: inputs, shape (n, n_z), of comparable scale.
        y: outputs, shape (n, n_y).
    """
    centre, offset, n = z.mean(0), y.mean(0), len(z)
    left, s, right = np.linalg.svd(z - centre, full_matrices=False)
    keep = s > 1e-12 * max(float(s[0]), 1e-300)
    left, s, right = left[:, keep], s[keep], right[keep]
    spread = y - offset
    along = left.T @ spread
    total = float(np.sum(spread**2))

    def score(penalty: float) -> float:
        shrink = s**2 / (s**2 + penalty)
        residual = total - float(np.sum((2 * shrink - shrink**2)[:, None] * along**2))
        free = 1 - (1 + float(shrink.sum())) / n
        return max(residual, 0.0) / free**2 if free > 0.02 else np.inf

    penalties = [n * 10.0**e for e in np.arange(-10, 4, 0.5)]
    best = min(penalties, key=score)
    return Affine(centre, right.T @ ((s / (s**2 + best))[:, None] * along), offset)
