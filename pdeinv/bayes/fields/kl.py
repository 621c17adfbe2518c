"""Truncated Karhunen-Loève expansions of Gaussian fields with a Matérn covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np
from scipy.spatial.distance import cdist

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.fields.basis import canonical, reference_functions
from pdeinv.bayes.fields.eigen import dense
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.kl_grid import count, modes_on_grid
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.parity import parities
from pdeinv.bayes.fields.reflected import reflected
from pdeinv.errors import ConfigError
from pdeinv.kernels import build
from pdeinv.kernels.product import Product
from pdeinv.typing import Array

__all__ = ["KarhunenLoeveField"]

MANY = 128
"""Modes from which on their symmetry makes products faster."""


@dataclass(frozen=True)
class KarhunenLoeveField(DenseField):
    """x = mean + Σ_k sqrt(λ_k) φ_k xi_k over the largest eigenvalues of the covariance operator.

    The eigenproblem ∫ C(s, t) φ(t) dt = λ φ(s) is solved by Nyström's method at nodes with
    quadrature weights. Order, signs and the basis of multiple eigenvalues are fixed by the nodes'
    places alone, so that one xi means one field on every machine:

    * On a regular grid every φ is even or odd about the middle of each axis. They come by falling
      λ, those of equal λ by kind: even before odd along x, then y, then z. Kinds that an exchange
      of equal axes turns into each other, as on a square, have the same λ to the last bit.
    * ∫ φ r > 0 for a fixed function r without symmetry. Equal λ of one kind, or at arbitrary
      points, are told apart by more such functions, as in Gram and Schmidt's method.

    A cut may fall among functions of one λ. It keeps the first by this order, on a square those
    that are even along x, and the variance that is left then favours an axis.

    Attributes:
        eigenvalues: λ_k in falling order, shape (dim,).
        captured: the share of the field's variance, integrated over the domain, that is kept.
        by_kind: on a grid, makes products that use the modes' symmetry.
    """

    eigenvalues: Array
    captured: float
    by_kind: Callable[[Array], tuple[Product, Product]] | None = None

    @cached_property
    def products(self) -> tuple[Product, Product] | None:
        """L and its transpose for many vectors; None where nothing compiles."""
        if self.by_kind is None or self.dim < MANY or not build.available():
            return super().products
        return self.by_kind(self.root)

    @classmethod
    def on_grid(
        cls, grid: RegularGrid, covariance: Matern, modes: float, *, mean: float = 0.0
    ) -> KarhunenLoeveField:
        """The expansion at the nodes of a regular grid, trapezoidal weights.

        Args:
            grid: the nodes.
            covariance: covariance by distance.
            modes: how many modes (1 or more), or the share of variance to keep (below 1).
            mean: the mean at every node.

        Raises:
            ConfigError: ``modes`` is out of range.
        """
        _check(modes, grid.size)
        return replace(_centred(grid, covariance, modes), mean=np.full(grid.size, float(mean)))

    @classmethod
    def at_points(
        cls,
        points: Array,
        weights: Array,
        covariance: Matern,
        modes: float,
        *,
        mean: float = 0.0,
    ) -> KarhunenLoeveField:
        """The expansion at arbitrary points, shape (n, d), with quadrature weights, shape (n,).

        Raises:
            ConfigError: ``modes`` is out of range.
        """
        _check(modes, len(points))
        half = np.sqrt(weights)
        values, vectors = dense(half[:, None] * covariance(cdist(points, points)) * half)
        root = canonical(values, vectors, half[:, None] * reference_functions(points))
        keep = count(values, modes, covariance.std**2 * float(np.sum(weights)))
        return cls._of(values[:keep], root[:, :keep], weights, covariance, mean)

    @classmethod
    def _of(
        cls, values: Array, root: Array, weights: Array, covariance: Matern, mean: float
    ) -> KarhunenLoeveField:
        """The field of the pairs kept; ``root`` still holds the square roots of the weights."""
        captured = float(np.sum(values)) / (covariance.std**2 * float(np.sum(weights)))
        scaled = root / np.sqrt(weights)[:, None]
        return cls(np.full(len(weights), float(mean)), scaled, values, captured)


# a verb asks for one prior several times: to check its size, to check data, to compute
@lru_cache(maxsize=1)
def _centred(grid: RegularGrid, covariance: Matern, modes: float) -> KarhunenLoeveField:
    """The expansion at the nodes of a grid with mean 0; its arrays may be shared."""
    values, root, kind = modes_on_grid(grid, covariance, modes)
    found = KarhunenLoeveField._of(values, root, grid.weights, covariance, 0.0)
    for shared in (found.root, found.eigenvalues):
        shared.setflags(write=False)
    return replace(found, by_kind=partial(reflected, kinds=parities(grid), kind=kind))


def _check(modes: float, n: int) -> None:
    if not (0 < modes < 1 or (modes % 1 == 0 and 1 <= modes <= n)):
        raise ConfigError(
            f"modes: expected a whole number from 1 to {n}, or a share of variance between 0 "
            f"and 1, got {modes:g}"
        )
