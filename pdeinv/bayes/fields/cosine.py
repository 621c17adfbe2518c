"""Gaussian fields with zero flux through the boundary of a box, by cosine series."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft

from pdeinv.bayes.fields.grid import RegularGrid, corner
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["CosineField"]


@dataclass(frozen=True)
class CosineField:
    """x ~ N(mean, scale (tau² - Δ)^(-alpha)), zero flux, at the nodes of a grid.

    x = mean + Σ_k sqrt(scale) (tau² + π² |k/l|²)^(-alpha/2) φ_k xi_k with the side lengths l and
    φ_k = Π_i c_i cos(π k_i x_i/l_i)/sqrt(l_i), c_i = 1 for k_i = 0 and sqrt(2) else, orthonormal in
    L². The sum runs over k_i < modes_i, by a type-I cosine transform; xi follows (k_z,) k_y, k_x.

    Attributes:
        mean: shape (size,).
        shape: shape of the grid's arrays.
        amplitude: factor of cos(π k·x/l) for each mode, shape (modes along (z,) y, x).
        variance: Σ_k λ_k over the volume: the variance of x averaged over the domain.
    """

    mean: Array
    shape: tuple[int, ...]
    amplitude: Array
    variance: float

    @classmethod
    def on_grid(
        cls,
        grid: RegularGrid,
        *,
        tau: float,
        alpha: float,
        modes: int | None = None,
        constant_mode: bool = True,
        normalise: bool = False,
    ) -> CosineField:
        """The field with mean zero and ``scale`` one at the nodes of a grid.

        Args:
            grid: the nodes.
            tau: inverse length; correlations reach about 1/tau.
            alpha: decay of the spectrum, more than half the number of dimensions.
            modes: modes kept along each axis; as many as nodes where None.
            constant_mode: whether the mode k = 0, the field's average, is random or zero.
            normalise: choose ``scale`` so that ``variance`` is one.

        Raises:
            ConfigError: alpha too small for a continuous field, or a parameter out of range.
        """
        kept = _kept(grid, modes)
        if not (alpha > len(grid.shape) / 2 and tau > 0):
            raise ConfigError(
                f"cosine field: expected tau > 0 and alpha > {len(grid.shape) / 2:g} in "
                f"{len(grid.shape)}-D, got tau = {tau:g} and alpha = {alpha:g}"
            )
        wave, norm = _modes(kept, grid.lengths)
        root = (tau**2 + wave) ** (-alpha / 2)
        if not constant_mode:
            root[(0,) * root.ndim] = 0.0
        variance = float(np.sum(root**2)) / math.prod(grid.lengths)
        if normalise:
            root, variance = root / math.sqrt(variance), 1.0
        return cls(np.zeros(grid.size), grid.shape, root * norm, variance)

    @property
    def dim(self) -> int:
        """The number of modes."""
        return int(self.amplitude.size)

    def apply(self, xi: Array) -> Array:
        """L xi."""
        xi = np.asarray(xi, dtype=np.float64)
        lead = xi.shape[:-1]
        padded = np.zeros((*lead, *self.shape))
        modes = self.amplitude * xi.reshape(*lead, *self.amplitude.shape)
        padded[corner(self.amplitude.shape)] = modes
        return _cosines(padded, len(self.shape)).reshape(*lead, -1)

    def apply_transpose(self, w: Array) -> Array:
        """L^T w; the matrix of cosines is symmetric."""
        w = np.asarray(w, dtype=np.float64)
        lead = w.shape[:-1]
        sums = _cosines(w.reshape(*lead, *self.shape), len(self.shape))
        kept = sums[corner(self.amplitude.shape)]
        return np.asarray(self.amplitude * kept).reshape(*lead, -1)


def _kept(grid: RegularGrid, modes: int | None) -> tuple[int, ...]:
    if modes is None:
        return grid.shape
    if not 1 <= modes <= min(grid.shape):
        raise ConfigError(
            f"modes: expected 1 to {min(grid.shape)} per axis on the grid {grid.nodes}, got {modes}"
        )
    return (modes,) * len(grid.shape)


def _modes(counts: tuple[int, ...], sides: tuple[float, ...]) -> tuple[Array, Array]:
    """π² |k/l|² and the L² normalisation of each mode, shape ``counts``."""
    wave, norm = np.zeros(()), np.ones(())
    for n, side in zip(counts, sides, strict=True):
        k = np.arange(n)
        wave = np.add.outer(wave, (math.pi * k / side) ** 2)
        norm = np.multiply.outer(norm, np.where(k == 0, 1.0, math.sqrt(2.0)) / math.sqrt(side))
    return wave, norm


def _cosines(x: Array, d: int) -> Array:
    """Σ_k x_k Π_i cos(π k_i j_i/(n_i - 1)) over the last ``d`` axes."""
    axes = tuple(range(x.ndim - d, x.ndim))
    # A type-I transform counts inner entries twice and the two ends once.
    for axis in axes:
        half = np.full(x.shape[axis], 0.5)
        half[[0, -1]] = 1.0
        x = x * half.reshape(-1, *(1,) * (x.ndim - axis - 1))
    return np.asarray(fft.dctn(x, type=1, axes=axes))
