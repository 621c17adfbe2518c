"""Stationary Gaussian fields on regular grids by circulant embedding: exact, n log n."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft

from pdeinv.bayes.fields.grid import RegularGrid, corner
from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["CirculantField", "covariance_action"]

_ROUNDING = 1e-13
"""Negative eigenvalues below this fraction of the largest are rounding errors."""


def _last(array: Array, d: int) -> tuple[int, ...]:
    return tuple(range(array.ndim - d, array.ndim))


def _eigenvalues(
    covariance: Callable[[Array], Array], spacing: tuple[float, ...], padded: tuple[int, ...]
) -> Array:
    """Eigenvalues of the covariance on the torus of ``padded`` points, in the layout of rfftn."""
    squares = np.zeros(())
    for h, n in zip(spacing, padded, strict=True):
        k = np.arange(n)
        squares = np.add.outer(squares, (h * np.minimum(k, n - k)) ** 2)
    return np.asarray(fft.rfftn(covariance(np.sqrt(squares))).real)


def _smallest(shape: tuple[int, ...], factor: float = 2.0) -> tuple[int, ...]:
    """FFT-friendly even lengths of at least ``factor`` (n - 1) along each axis."""
    return tuple(2 * fft.next_fast_len(math.ceil(factor * (n - 1) / 2), real=True) for n in shape)


def _multiply(diagonal: Array, x: Array, padded: tuple[int, ...]) -> Array:
    """F^(-1) diag F x over the last axes."""
    axes = _last(x, len(padded))
    return np.asarray(fft.irfftn(diagonal * fft.rfftn(x, axes=axes), s=padded, axes=axes))


def _crop(x: Array, shape: tuple[int, ...]) -> Array:
    """The flattened corner of ``shape`` of the last axes."""
    return np.ascontiguousarray(x[corner(shape)]).reshape(*x.shape[: x.ndim - len(shape)], -1)


def _pad(w: Array, shape: tuple[int, ...], padded: tuple[int, ...]) -> Array:
    """The transpose of :func:`_crop`."""
    out = np.zeros((*w.shape[:-1], *padded))
    out[corner(shape)] = w.reshape(*w.shape[:-1], *shape)
    return out


def covariance_action(
    grid: RegularGrid, covariance: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """The product with the covariance matrix of the grid's nodes, exact, without forming it.

    Args:
        grid: the nodes.
        covariance: covariance by distance.
    """
    padded = _smallest(grid.shape)
    values = _eigenvalues(covariance, grid.spacing, padded)
    return lambda x: _crop(_multiply(values, _pad(x, grid.shape, padded), padded), grid.shape)


@dataclass(frozen=True)
class CirculantField:
    """x = mean + crop(F^(-1) Λ^(1/2) F xi) with Λ the spectrum of the covariance on a larger torus.

    L L^T is the covariance matrix of the nodes to rounding wherever ``clipped`` is zero.

    Attributes:
        mean: shape (size,).
        shape: shape of the grid's arrays.
        padded: shape of the torus; xi has one component per point of it.
        amplitude: Λ^(1/2), in the layout of rfftn.
        clipped: sum of the negative eigenvalues that were set to zero over the sum of the others.

    Reference: Dietrich and Newsam (1997); Wood and Chan (1994).
    """

    mean: Array
    shape: tuple[int, ...]
    padded: tuple[int, ...]
    amplitude: Array
    clipped: float

    @classmethod
    def on_grid(
        cls,
        grid: RegularGrid,
        covariance: Matern,
        *,
        mean: float = 0.0,
        max_points: int = 2**22,
        tolerance: float = 1e-6,
    ) -> CirculantField:
        """The field with a Matérn covariance at the nodes of a grid.

        The torus grows until its covariance is nonnegative definite or would exceed ``max_points``.

        Args:
            grid: the nodes.
            covariance: covariance by distance.
            mean: the mean at every node.
            max_points: largest size of the torus.
            tolerance: largest clipped fraction that is accepted.

        Raises:
            ConfigError: the torus stays indefinite by more than ``tolerance``.
        """
        padded, values = _embed(grid, covariance, max_points)
        positive = np.maximum(values, 0.0)
        clipped = float(np.sum(positive - values) / np.sum(positive))
        if np.min(values) >= -_ROUNDING * np.max(values):
            clipped = 0.0
        if clipped > tolerance:
            raise ConfigError(
                f"representation 'fft': smoothness {covariance.smoothness:g} with length "
                f"{covariance.length:g} is indefinite on a torus of {padded} points (clipped "
                f"{clipped:.1e}, allowed {tolerance:g}); shorten the length or use 'kl'"
            )
        mean_values = np.full(grid.size, float(mean))
        return cls(mean_values, grid.shape, padded, np.sqrt(positive), clipped)

    @property
    def dim(self) -> int:
        """The number of points of the torus."""
        return math.prod(self.padded)

    def apply(self, xi: Array) -> Array:
        """L xi."""
        xi = np.asarray(xi, dtype=np.float64)
        torus = xi.reshape(*xi.shape[:-1], *self.padded)
        return _crop(_multiply(self.amplitude, torus, self.padded), self.shape)

    def apply_transpose(self, w: Array) -> Array:
        """L^T w; the circulant square root is symmetric."""
        w = np.asarray(w, dtype=np.float64)
        torus = _pad(w, self.shape, self.padded)
        return _multiply(self.amplitude, torus, self.padded).reshape(*w.shape[:-1], self.dim)


def _embed(grid: RegularGrid, covariance: Matern, limit: int) -> tuple[tuple[int, ...], Array]:
    """The smallest torus found with a nonnegative spectrum, else the largest within ``limit``."""
    factor, padded = 2.0, _smallest(grid.shape)
    values = _eigenvalues(covariance, grid.spacing, padded)
    while np.min(values) < -_ROUNDING * np.max(values):
        factor *= 1.25
        larger = _smallest(grid.shape, factor)
        if math.prod(larger) > limit:
            break
        padded, values = larger, _eigenvalues(covariance, grid.spacing, larger)
    return padded, values
