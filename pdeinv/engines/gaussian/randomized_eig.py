"""Leading eigenpairs of a symmetric operator from its action on random vectors.

The double-pass method of Halko, Martinsson and Tropp (2011, Algorithms 4.1 and 5.3), in a form that
can grow: columns that were found stay, so doubling the rank costs only the new half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.engines.requests import Steps
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["Sketch", "eigenpairs", "grow"]

TRIES = 5
"""Rounds of drawing columns anew whose action failed, before giving up."""

type Action = Callable[[Array], Steps[Array]]
"""H v for each row v, (k, dim) to (k, dim); a row is not finite where that product fails."""


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


def _acted(action: Action, vectors: Array) -> Steps[tuple[Array, Array]]:
    """The columns of ``vectors`` whose action does not fail, and these actions, (dim, k) both."""
    images = yield from action(np.ascontiguousarray(vectors.T))
    kept = np.isfinite(images).all(axis=1)
    return np.ascontiguousarray(vectors[:, kept]), np.ascontiguousarray(images[kept].T)


def _orthonormal(columns: Array, against: Array) -> Array:
    """A basis of ``columns`` orthogonal to ``against``; projected twice because of rounding."""
    for _ in range(2):
        columns = columns - against @ (against.T @ columns)
        columns, _r = np.linalg.qr(columns)
    return columns


def grow(action: Action, sketch: Sketch, n: int, rng: np.random.Generator) -> Steps[Sketch]:
    """The sketch with ``n`` more columns (at most dim in all); costs 2 n actions.

    Columns whose action fails are left out, and others drawn in their place.

    Raises:
        SolverDiverged: they keep failing.
    """
    size = min(sketch.size + n, len(sketch.basis))
    for _ in range(TRIES):
        if sketch.size == size:
            return sketch
        sketch = yield from _grown(action, sketch, size - sketch.size, rng)
    if sketch.size < size:
        raise SolverDiverged(
            f"the derivative fails in {size - sketch.size} of {size} directions of the Hessian"
        )
    return sketch


def _grown(action: Action, sketch: Sketch, n: int, rng: np.random.Generator) -> Steps[Sketch]:
    """With ``n`` more columns, or fewer where their action fails."""
    _, images = yield from _acted(action, rng.standard_normal((len(sketch.basis), n)))
    if not images.size:
        return sketch
    new, acted = yield from _acted(action, _orthonormal(images, sketch.basis))
    return Sketch(np.hstack([sketch.basis, new]), np.hstack([sketch.action, acted]))


def eigenpairs(sketch: Sketch) -> tuple[Array, Array]:
    """Eigenvalues (k,), decreasing, and eigenvectors (dim, k) of the operator on the basis."""
    projected = sketch.basis.T @ sketch.action
    values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
    return values[::-1].copy(), sketch.basis @ vectors[:, ::-1]
