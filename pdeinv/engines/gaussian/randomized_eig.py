"""Leading eigenpairs of a symmetric operator from its action on random vectors.

The double-pass method of Halko, Martinsson and Tropp (2011, Algorithms 4.1 and 5.3), in a form that
can grow: columns that were found stay, so doubling the rank costs only the new half.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["Sketch", "eigenpairs", "grow"]

TRIES = 5
"""Rounds of drawing columns anew whose action failed, before giving up."""

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


def _acted(action: Action, vectors: Array) -> tuple[Array, Array]:
    """The columns of ``vectors`` whose action does not fail, and these actions, (dim, k) both."""
    kept, found = list[Array](), list[Array]()
    for v in vectors.T:
        with suppress(SolverDiverged):
            found.append(action(v))
            kept.append(v)
    shape = len(kept), len(vectors)
    kept_rows, found_rows = np.reshape(kept, shape), np.reshape(found, shape)
    return np.ascontiguousarray(kept_rows.T), np.ascontiguousarray(found_rows.T)


def _orthonormal(columns: Array, against: Array) -> Array:
    """A basis of ``columns`` orthogonal to ``against``; projected twice because of rounding."""
    for _ in range(2):
        columns = columns - against @ (against.T @ columns)
        columns, _r = np.linalg.qr(columns)
    return columns


def grow(action: Action, sketch: Sketch, n: int, rng: np.random.Generator) -> Sketch:
    """The sketch with ``n`` more columns (at most dim in all); costs 2 n actions.

    Columns whose action fails are left out, and others drawn in their place.

    Raises:
        SolverDiverged: they keep failing.
    """
    size = min(sketch.size + n, len(sketch.basis))
    for _ in range(TRIES):
        if sketch.size == size:
            return sketch
        sketch = _grown(action, sketch, size - sketch.size, rng)
    if sketch.size < size:
        raise SolverDiverged(
            f"the derivative fails in {size - sketch.size} of {size} directions of the Hessian"
        )
    return sketch


def _grown(action: Action, sketch: Sketch, n: int, rng: np.random.Generator) -> Sketch:
    """With ``n`` more columns, or fewer where their action fails."""
    _, images = _acted(action, rng.standard_normal((len(sketch.basis), n)))
    if not images.size:
        return sketch
    new, acted = _acted(action, _orthonormal(images, sketch.basis))
    return Sketch(np.hstack([sketch.basis, new]), np.hstack([sketch.action, acted]))


def eigenpairs(sketch: Sketch) -> tuple[Array, Array]:
    """Eigenvalues (k,), decreasing, and eigenvectors (dim, k) of the operator on the basis."""
    projected = sketch.basis.T @ sketch.action
    values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
    return values[::-1].copy(), sketch.basis @ vectors[:, ::-1]
