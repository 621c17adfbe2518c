"""Leading eigenpairs of a symmetric operator from its action on random vectors.

The double-pass method of Halko, Martinsson and Tropp (2011, Algorithms 4.1 and 5.3), in a form that
can grow: columns that were found stay, so doubling the rank costs only the new half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Sketch", "eigenpairs", "grow"]

Action = Callable[[Array], Array]


@dataclass(frozen=True)
class Sketch:
    """An orthonormal basis of the range seen so far, with the operator's action on it.

    Attributes:
        basis: Q, shape (dim, k), orthonormal columns.
        action: H Q, shape (dim, k).
    """

    basis: Array
    action: Array

    @classmethod
    def empty(cls, dim: int) -> Sketch:
        """No columns yet."""
        return cls(np.zeros((dim, 0)), np.zeros((dim, 0)))

    @property
    def size(self) -> int:
        """The number of columns."""
        return int(self.basis.shape[1])


def _columns(action: Action, vectors: Array) -> Array:
    return np.stack([action(v) for v in vectors.T], axis=1)


def _orthonormal(columns: Array, against: Array) -> Array:
    """A basis of ``columns`` orthogonal to ``against``; projected twice because of rounding."""
    for _ in range(2):
        columns = columns - against @ (against.T @ columns)
        columns, _r = np.linalg.qr(columns)
    return columns


def grow(action: Action, sketch: Sketch, n: int, rng: np.random.Generator) -> Sketch:
    """The sketch with ``n`` more columns (at most dim in all); costs 2 n actions."""
    dim = len(sketch.basis)
    n = min(n, dim - sketch.size)
    if n == 0:
        return sketch
    probes = rng.standard_normal((dim, n))
    new = _orthonormal(_columns(action, probes), sketch.basis)
    return Sketch(np.hstack([sketch.basis, new]), np.hstack([sketch.action, _columns(action, new)]))


def eigenpairs(sketch: Sketch) -> tuple[Array, Array]:
    """Eigenvalues (k,), decreasing, and eigenvectors (dim, k) of the operator on the basis."""
    projected = sketch.basis.T @ sketch.action
    values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
    return values[::-1].copy(), sketch.basis @ vectors[:, ::-1]
