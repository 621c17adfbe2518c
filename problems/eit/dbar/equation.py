"""The ∂̄ equation in k, at many points z at once.

∂μ/∂k̄ = t(k) / (4π k̄) e_{-z}(k) conj(μ),  e_z(k) = exp(i(kz + k̄z̄)),  μ → 1 as |k| → ∞, becomes for
t = 0 beyond |k| = R the real-linear integral equation

    μ(k) = 1 + (1/π) ∫_{|k'|<R} t(k') e_{-z}(k') conj(μ(k')) / (4π k̄' (k - k')) dk',

whose convolution is periodic on a square of half width 2R (Vainikko 2000; Knudsen, Mueller and
Siltanen 2004), hence an FFT. σ(z) = μ(z, 0)².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pdeinv.typing import Array

__all__ = ["KGrid", "gmres", "solve_at"]

Complex = NDArray[np.complex128]

MOST = 80
"""Iterations of GMRES at most."""

BATCH = 128
"""Points z that are solved side by side: more would not fit the cache."""


@dataclass(frozen=True)
class KGrid:
    """A square grid in k that holds the differences of any two points of the disc |k| < R.

    Attributes:
        radius: R.
        size: points along each side, even.
    """

    radius: float
    size: int

    @property
    def spacing(self) -> float:
        """h."""
        return 4 * self.radius / self.size

    @cached_property
    def _square(self) -> Complex:
        axis = self.spacing * (np.arange(self.size) - self.size // 2)
        return np.asarray(axis[None, :] + 1j * axis[:, None])

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Which points of the square lie in the disc."""
        return np.asarray(np.abs(self._square) < self.radius)

    @cached_property
    def points(self) -> Complex:
        """The points of the disc, shape (n_k,)."""
        return np.asarray(self._square[self.inside])

    @property
    def origin(self) -> int:
        """Which of them is k = 0."""
        return int(np.argmin(np.abs(self.points)))

    @cached_property
    def _green(self) -> Complex:
        """The transform of h²/(πk), cut at 2R where no difference reaches."""
        k = np.where(self._square == 0, 1.0, self._square)
        kernel = np.where((self._square == 0) | (np.abs(k) >= 2 * self.radius), 0.0, 1 / k)
        return np.asarray(fft.fft2(fft.ifftshift(kernel)) * self.spacing**2 / np.pi)

    def cauchy(self, f: Complex) -> Complex:
        """(1/π) ∫ f(k') / (k - k') dk' at the disc's points, (..., n_k) to (..., n_k)."""
        square = np.zeros((*f.shape[:-1], self.size, self.size), dtype=np.complex128)
        square[..., self.inside] = f
        found = fft.ifft2(fft.fft2(square) * self._green)
        return np.asarray(found[..., self.inside])


def gmres(
    action: Callable[[Complex], Complex], b: Complex, tolerance: float
) -> tuple[Complex, Array]:
    """Solve real-linear systems side by side, from x = 0 (Saad and Schultz 1986).

    Complex vectors count as pairs of real ones: the inner product is Re(conj(u) · v).

    Args:
        action: x ↦ A x for rows, shape (n_b, n).
        b: right-hand sides, shape (n_b, n).
        tolerance: stop when every ‖b - A x‖ is at most this share of ‖b‖.

    Returns:
        x, and the relative residuals, shape (n_b,).
    """
    size = np.linalg.norm(b, axis=1)
    safe = np.where(size > 0, size, 1.0)
    basis = [b / safe[:, None]]
    hessenberg = np.zeros((len(b), MOST + 1, MOST))
    y, residual = np.zeros((len(b), 1)), np.ones(len(b))
    for j in range(MOST):
        w = action(basis[j])
        for i, v in enumerate(basis):
            hessenberg[:, i, j] = np.sum(v.real * w.real + v.imag * w.imag, axis=1)
            w = w - hessenberg[:, i, j, None] * v
        norm = np.linalg.norm(w, axis=1)
        hessenberg[:, j + 1, j] = norm
        basis.append(w / np.where(norm > 0, norm, 1.0)[:, None])
        q, r = np.linalg.qr(hessenberg[:, : j + 2, : j + 1], mode="complete")
        first, residual = q[:, 0, :-1], np.abs(q[:, 0, -1])
        y = np.linalg.solve(_full_rank(r[:, :-1]), first[:, :, None])[:, :, 0]
        if (residual[size > 0] <= tolerance).all():
            break
    x = np.einsum("bj,jbn->bn", y, np.stack(basis[: y.shape[1]])) * size[:, None]
    return x, np.where(size > 0, residual, 0.0)


def _full_rank(r: Array) -> Array:
    """R with ones where its diagonal vanishes: systems that were solved before the others."""
    diagonal = np.einsum("bii->bi", r)
    lost = np.abs(diagonal) <= 1e-14 * np.abs(diagonal).max(axis=1, keepdims=True)
    return r + np.where(lost, 1.0, 0.0)[:, :, None] * np.eye(r.shape[-1])


def solve_at(grid: KGrid, t: Complex, z: Complex, tolerance: float) -> tuple[Complex, Array]:
    """μ(z, 0), and the relative residual of its equation.

    Args:
        grid: in k.
        t: the scattering transform at ``grid.points``.
        z: points of the unit disc, shape (n_z,).
        tolerance: of the linear solver.
    """
    if len(z) > BATCH:
        parts = [solve_at(grid, t, z[i : i + BATCH], tolerance) for i in range(0, len(z), BATCH)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    k = grid.points
    over = np.zeros_like(k)
    np.divide(t, 4 * np.pi * np.conj(k), out=over, where=k != 0)
    phase = np.exp(-2j * np.real(z[:, None] * k))
    kernel = over * phase

    def action(w: Complex) -> Complex:
        return np.asarray(w - grid.cauchy(kernel * np.conj(w)))

    w, residual = gmres(action, grid.cauchy(kernel), tolerance)
    return 1 + w[:, grid.origin], residual
