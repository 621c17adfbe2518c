"""Boundary maps of the disc and their scattering transform.

Maps are matrices in the basis cos θ, sin θ, cos 2θ, … scaled to unit length on the circle. On the
unit circle, for σ = 1 near it,

    t_exp(k) = ∫ e^{i k̄ z̄} (Λ_σ - Λ_1) e^{ikz} ds
             = Σ_{m,n ≥ 1} (i k̄)^m (ik)^n / (m! n!) ∫ e^{-imθ} (Λ_σ - Λ_1) e^{inθ} dθ

(Siltanen, Mueller and Isaacson 2000; Mueller and Siltanen 2012, §15.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

__all__ = ["BoundaryMap", "full_matrix", "scattering_transform", "stable_radius"]

Complex = NDArray[np.complex128]


def full_matrix(
    values: Array, rows: NDArray[np.int64], columns: NDArray[np.int64], n: int
) -> Array:
    """The symmetric matrix of some of its entries, each pair averaged.

    Args:
        values: entries, shape (n_d,).
        rows: their rows.
        columns: their columns.
        n: size of the matrix.

    Raises:
        DataSchemaError: an entry is known neither above nor below the diagonal.
    """
    total, count = np.zeros((n, n)), np.zeros((n, n))
    for i, j in ((rows, columns), (columns, rows)):
        np.add.at(total, (i, j), values)
        np.add.at(count, (i, j), 1)
    if not count.all():
        i, j = np.argwhere(count == 0)[0]
        raise DataSchemaError(
            f"engine 'd-bar' needs the whole boundary map; entry ({i}, {j}) and its mirror are "
            "missing; observe with sensors 'all', or use gauss-newton"
        )
    return total / count


@dataclass(frozen=True)
class BoundaryMap:
    """What the data say of the Dirichlet-to-Neumann map.

    Attributes:
        kind: which map was measured.
        radius: of the disc, m.
        subtracted: the conductivity whose map was subtracted, S m-1, or None.
    """

    kind: Literal["dirichlet-to-neumann", "neumann-to-dirichlet"]
    radius: float
    subtracted: float | None = None

    def dtn(self, matrix: Array) -> Array:
        """Λ_σ scaled to the unit disc, S m-1, of a measured matrix (n, n)."""
        n = frequencies(len(matrix))
        if self.kind == "dirichlet-to-neumann":
            known = 0.0 if self.subtracted is None else self.subtracted
            return np.asarray(self.radius * matrix + known * np.diag(n))
        known = 0.0 if self.subtracted is None else 1 / self.subtracted
        return np.linalg.inv(matrix / self.radius + known * np.diag(1 / n))

    def background(self, matrix: Array) -> float:
        """σ near the boundary, S m-1: what the faster half of the modes see."""
        if self.subtracted is not None:
            return self.subtracted
        n = frequencies(len(matrix))
        fast = n > n.max() / 2
        own = np.diag(matrix)[fast]
        if self.kind == "dirichlet-to-neumann":
            return float(np.mean(self.radius * own / n[fast]))
        return float(1 / np.mean(own * n[fast] / self.radius))

    def excess(self, matrix: Array, background: float) -> Array:
        """Λ_{σ/background} - Λ_1 on the unit disc."""
        return self.dtn(matrix) / background - np.diag(frequencies(len(matrix)))


def frequencies(n: int) -> Array:
    """The frequency of each basis function: 1, 1, 2, 2 and so on."""
    return np.repeat(np.arange(1.0, n // 2 + 1), 2)


def _analytic(excess: Array) -> Complex:
    """∫ e^{-imθ} δΛ e^{inθ} dθ for m, n ≥ 1; leading axes of ``excess`` are kept."""
    cc, cs = excess[..., 0::2, 0::2], excess[..., 0::2, 1::2]
    sc, ss = excess[..., 1::2, 0::2], excess[..., 1::2, 1::2]
    return np.asarray(np.pi * (cc + ss + 1j * (cs - sc)))


def scattering_transform(excess: Array, k: Complex) -> Complex:
    """t_exp at points k.

    Args:
        excess: Λ_σ - Λ_1, shape (..., 2N, 2N).
        k: shape (n_k,).

    Returns:
        shape (..., n_k).
    """
    matrix = _analytic(excess)
    orders = np.arange(1, matrix.shape[-1] + 1)
    # (ik)^n / n! as a running product, which never overflows before it is divided.
    powers = np.cumprod(1j * k[:, None] / orders, axis=1)
    mirrored = np.cumprod(1j * np.conj(k)[:, None] / orders, axis=1)
    return np.asarray(np.einsum("km,...mn,kn->...k", mirrored, matrix, powers, optimize=True))


@dataclass(frozen=True)
class Profile:
    """|t| on circles: of the data, and of noise alone.

    Attributes:
        radii: |k|, shape (n_r,).
        signal: root mean square of the data's t on each circle.
        noise: the same over draws of the noise.
    """

    radii: Array
    signal: Array
    noise: Array


def profile(excess: Array, noisy: Array, radii: Array, angles: int = 32) -> Profile:
    """How t and its error grow with |k|.

    Args:
        excess: of the data, shape (2N, 2N).
        noisy: of data with more noise added, shape (n_draws, 2N, 2N).
        radii: shape (n_r,).
        angles: points on each circle.
    """
    turn = np.exp(2j * np.pi * np.arange(angles) / angles)
    k = (radii[:, None] * turn).ravel().astype(np.complex128)
    signal = scattering_transform(excess, k).reshape(len(radii), angles)
    error = scattering_transform(noisy - excess, k).reshape(-1, len(radii), angles)
    return Profile(
        radii,
        np.sqrt(np.mean(np.abs(signal) ** 2, axis=1)),
        np.sqrt(np.mean(np.abs(error) ** 2, axis=(0, 2))),
    )


def stable_radius(found: Profile, ratio: float) -> float:
    """The largest |k| up to which t exceeds ``ratio`` times its noise; the smallest if none."""
    lost = found.signal < ratio * found.noise
    end = int(np.argmax(lost)) if lost.any() else len(lost)
    return float(found.radii[max(0, end - 1)])
