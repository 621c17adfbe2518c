"""Leading eigenpairs of symmetric matrices, dense or by products alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh

from pdeinv.typing import Array

__all__ = ["EQUAL", "SPARE", "dense", "krylov"]

SPARE = 4
"""Modes computed beyond those kept, so that a cut never hides part of a multiple eigenvalue."""

EQUAL = 1e-8
"""Relative distance under which neighbouring eigenvalues count as one multiple eigenvalue."""


def dense(matrix: Array) -> tuple[Array, Array]:
    """All eigenpairs of a symmetric matrix, which is overwritten, largest first."""
    values, vectors = eigh(matrix, driver="evd", overwrite_a=True, check_finite=False)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def krylov(product: Callable[[Array], Array], k: int, starts: Array) -> tuple[Array, Array]:
    """At least ``k`` leading eigenpairs, all copies of multiple eigenvalues included.

    A Krylov space of one vector holds one copy of a multiple eigenvalue, so the complement of what
    was found is searched from another vector until nothing larger is left there.

    Args:
        product: the matrix times a vector, shape (n,).
        k: how many.
        starts: two vectors to start from, shape (n, 2).
    """
    n = len(starts)
    values, vectors = eigsh(_operator(product, n), k, which="LA", v0=starts[:, 0])
    while True:
        found = vectors

        def rest(x: Array, found: Array = found) -> Array:
            y = product(x - found @ (found.T @ x))
            return y - found @ (found.T @ y)

        missing, more = eigsh(_operator(rest, n), 1, which="LA", v0=starts[:, 1], tol=1e-12)
        if missing[0] <= np.min(values) * (1 + EQUAL):
            break
        values, vectors = np.append(values, missing), np.hstack([vectors, more])
    order = np.argsort(values)[::-1]
    return np.maximum(values[order], 0.0), vectors[:, order]


def _operator(product: Callable[[Array], Array], n: int) -> LinearOperator:
    return LinearOperator((n, n), matvec=lambda x: product(np.ravel(x)), dtype=np.float64)
