"""Gaussian fields as linear maps of white noise: x = mean + L xi with xi ~ N(0, I).

Every field knows L and its transpose and nothing else; what is done with x (exponential, threshold)
is the business of :mod:`pdeinv.bayes.transforms`. Concrete fields live beside this file: dense
covariance here, Karhunen-Loève, FFT, cosine and Whittle-SPDE fields in modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pdeinv.kernels import build
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.product import Product
from pdeinv.kernels.tiles import empty, lanes
from pdeinv.model.forward import each_product
from pdeinv.typing import Array

__all__ = ["DenseField", "GaussianField", "IndependentField"]


class GaussianField(Protocol):
    """x = mean + L xi, a Gaussian vector with covariance L L^T."""

    @property
    def dim(self) -> int:
        """The length of xi."""

    @property
    def mean(self) -> Array:
        """The mean of x, shape (size,)."""

    def apply(self, xi: Array) -> Array:
        """L xi: (..., dim) to (..., size)."""

    def apply_transpose(self, w: Array) -> Array:
        """L^T w: (..., size) to (..., dim)."""


@dataclass(frozen=True)
class IndependentField:
    """Independent components: x_i ~ N(mean_i, std_i²)."""

    mean: Array
    std: Array

    @property
    def dim(self) -> int:
        """One xi per component."""
        return len(self.mean)

    def apply(self, xi: Array) -> Array:
        """std xi."""
        return np.asarray(self.std * xi)

    def apply_transpose(self, w: Array) -> Array:
        """std w."""
        return np.asarray(self.std * w)


@dataclass(frozen=True)
class DenseField:
    """A field with an explicit square root of its covariance.

    Attributes:
        mean: shape (size,).
        root: L, shape (size, dim), with covariance L L^T.
    """

    mean: Array
    root: Array

    @classmethod
    def from_covariance(cls, mean: Array, covariance: Array) -> DenseField:
        """The field N(mean, covariance) with the Cholesky factor as its root."""
        return cls(np.asarray(mean, dtype=np.float64), np.linalg.cholesky(covariance))

    @property
    def dim(self) -> int:
        """The number of columns of the root."""
        return int(self.root.shape[1])

    def apply(self, xi: Array) -> Array:
        """L xi."""
        return np.asarray(xi @ self.root.T)

    def apply_transpose(self, w: Array) -> Array:
        """L^T w."""
        return np.asarray(w @ self.root)

    def apply_rows(self, xis: Array) -> Array:
        """L xi_i for each row of (n, dim), the bits of a row its own."""
        return _rows(self.root, self.products, xis, 0)

    def apply_transpose_rows(self, ws: Array) -> Array:
        """L^T w_i for each row of (n, size), the bits of a row its own."""
        return _rows(self.root.T, self.products, ws, 1)

    @cached_property
    def products(self) -> tuple[Product, Product] | None:
        """L and its transpose, each read once for all rows; None where nothing compiles."""
        return (Dense(self.root), Dense(self.root.T)) if build.available() else None


def _rows(
    matrix: Array, products: tuple[Product, Product] | None, rows: Array, which: int
) -> Array:
    if products is None:
        return each_product(matrix, rows)
    # all columns at once, not tile by tile: a large matrix is slow to read; and none left over,
    # which are slower alone than as a tile
    n = len(rows)
    columns = empty(rows.shape[1], n if n < 2 else lanes() * -(-n // lanes()))
    columns[:, :n], columns[:, n:] = rows.T, 0.0
    return np.ascontiguousarray(products[which].tile(columns)[:, :n].T)
