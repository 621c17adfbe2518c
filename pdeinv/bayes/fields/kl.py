"""Truncated Karhunen-Loève expansions of Gaussian fields with a Matérn covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.spatial.distance import cdist

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.fields.fft import covariance_action
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["KarhunenLoeveField"]

DENSE_LIMIT = 1000
"""Nodes of a grid up to which the whole matrix is diagonalised."""

_SPARE = 4
"""Modes computed beyond those kept, so that a cut never hides part of a multiple eigenvalue."""

_EQUAL = 1e-8
"""Relative distance under which neighbouring eigenvalues count as one multiple eigenvalue."""


@dataclass(frozen=True)
class KarhunenLoeveField(DenseField):
    """x = mean + Σ_k sqrt(λ_k) φ_k xi_k over the largest eigenvalues of the covariance operator.

    The eigenproblem ∫ C(s, t) φ(t) dt = λ φ(s) is solved by Nyström's method at nodes with
    quadrature weights. Signs and the basis of multiple eigenvalues are fixed by the nodes' places
    alone, so that one xi means one field on every machine.

    Attributes:
        eigenvalues: λ_k in falling order, shape (dim,).
        captured: the share of the field's variance, integrated over the domain, that is kept.
    """

    eigenvalues: Array
    captured: float

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
        action = None
        if grid.size > DENSE_LIMIT:
            action = covariance_action(grid, covariance)
        return cls._build(grid.points, grid.weights, covariance, (modes, mean), action)

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
        return cls._build(points, weights, covariance, (modes, mean), None)

    @classmethod
    def _build(
        cls,
        points: Array,
        weights: Array,
        covariance: Matern,
        settings: tuple[float, float],
        action: Callable[[Array], Array] | None,
    ) -> KarhunenLoeveField:
        modes, mean = settings
        n = len(points)
        if not (0 < modes < 1 or (modes % 1 == 0 and 1 <= modes <= n)):
            raise ConfigError(
                f"modes: expected a whole number from 1 to {n}, or a share of variance between 0 "
                f"and 1, got {modes:g}"
            )
        half, total = np.sqrt(weights), covariance.std**2 * float(np.sum(weights))
        reference = half[:, None] * _reference(points)
        pairs = None
        if action is not None:
            pairs = _krylov(_symmetric(action, half), modes, total, reference[:, :2])
        if pairs is None:
            matrix = covariance(cdist(points, points))
            pairs = _dense(half[:, None] * matrix * half, modes)
        values, vectors = pairs
        keep = _count(values, modes, total)
        root = _canonical(values, vectors, reference)[:, :keep] / half[:, None]
        captured = float(np.sum(values[:keep])) / total
        return cls(np.full(n, float(mean)), root, values[:keep], captured)


def _count(values: Array, modes: float, total: float) -> int:
    """How many of the eigenvalues to keep."""
    if modes >= 1:
        return int(modes)
    enough = np.flatnonzero(np.cumsum(values) >= modes * total)
    return int(enough[0]) + 1 if len(enough) else len(values)


def _dense(matrix: Array, modes: float) -> tuple[Array, Array]:
    """Leading eigenpairs of a symmetric matrix, largest first."""
    n = len(matrix)
    first = 0 if modes < 1 else max(n - int(modes) - _SPARE, 0)
    values, vectors = eigh(matrix, subset_by_index=(first, n - 1))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _symmetric(action: Callable[[Array], Array], half: Array) -> Callable[[Array], Array]:
    return lambda x: half * action(half * np.ravel(x))


def _krylov(
    product: Callable[[Array], Array], modes: float, total: float, starts: Array
) -> tuple[Array, Array] | None:
    """Leading eigenpairs, largest first, from products alone; more and more for a share < 1.

    None where that would take more than a quarter of all: a dense solver is faster then.
    """
    n = len(starts)
    k = 32 if modes < 1 else int(modes) + _SPARE
    while k <= n // 4:
        values, vectors = _leading(product, k, starts)
        if modes >= 1 or np.sum(values[:-_SPARE]) >= modes * total:
            return values, vectors
        k *= 2
    return None


def _leading(product: Callable[[Array], Array], k: int, starts: Array) -> tuple[Array, Array]:
    """At least ``k`` leading eigenpairs, all copies of multiple eigenvalues included.

    A Krylov space of one vector holds one copy of a multiple eigenvalue, so the complement of what
    was found is searched from another vector until nothing larger is left there.
    """
    n = len(starts)
    values, vectors = eigsh(_operator(product, n), k, which="LA", v0=starts[:, 0])
    while True:
        found = vectors

        def rest(x: Array, found: Array = found) -> Array:
            y = product(x - found @ (found.T @ x))
            return y - found @ (found.T @ y)

        missing, more = eigsh(_operator(rest, n), 1, which="LA", v0=starts[:, 1], tol=1e-12)
        if missing[0] <= np.min(values) * (1 + _EQUAL):
            break
        values, vectors = np.append(values, missing), np.hstack([vectors, more])
    order = np.argsort(values)[::-1]
    return np.maximum(values[order], 0.0), vectors[:, order]


def _operator(product: Callable[[Array], Array], n: int) -> LinearOperator:
    return LinearOperator((n, n), matvec=lambda x: product(np.ravel(x)), dtype=np.float64)


def _reference(points: Array, count: int = 8) -> Array:
    """Smooth functions without any symmetry of a box, shape (n, count)."""
    low, high = points.min(axis=0), points.max(axis=0)
    unit = (points - low) / np.where(high > low, high - low, 1.0)
    slopes = np.sqrt(np.array([2.0, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]))
    picks = np.arange(count)[:, None] * 5 + np.arange(points.shape[1]) * 7
    return np.asarray(np.exp(unit @ (slopes[picks % len(slopes)] - 3.0).T))


def _canonical(values: Array, vectors: Array, reference: Array) -> Array:
    """V Λ^(1/2) with signs and bases of multiple eigenvalues that depend on ``reference`` alone.

    Within each group of equal eigenvalues the columns are rotated by the Q of V^T R = Q T, T with a
    positive diagonal: another orthonormal basis V O gives V O (O^T Q) = V Q again, and the product
    with the transpose stays V Λ V^T.
    """
    gaps = values[:-1] - values[1:] > _EQUAL * values[:-1]
    groups = np.split(np.arange(len(values)), np.flatnonzero(gaps) + 1)
    root = vectors * np.sqrt(values)
    for group in groups:
        seen = reference[:, np.arange(len(group)) % reference.shape[1]]
        q, t = np.linalg.qr(vectors[:, group].T @ seen)
        signs = np.where(np.diag(t) < 0, -1.0, 1.0)
        root[:, group] = root[:, group] @ (q * signs)
    return root
