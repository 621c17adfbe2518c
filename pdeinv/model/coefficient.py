"""The unknown as values at fixed points: a map with its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.typing import Array

__all__ = ["Affine", "Coefficient", "jacobian"]


class Coefficient(Protocol):
    """The unknown m to values at fixed points, with its derivative."""

    def __call__(self, m: Array, /) -> Array:
        """The values, shape (n,), or (1, outputs) where they are the same at all points."""

    def jvp(self, m: Array, dm: Array, /) -> Array:
        """The derivative along dm, in the shape of the values."""

    def vjp(self, m: Array, w: Array, /) -> Array:
        """The derivative's transpose on w, shape (n_m,)."""


@dataclass(frozen=True)
class Affine:
    """P m + c at points.

    Attributes:
        matrix: P, sparse or dense, shape (n, n_m).
        offset: c, a number or shape (n,).
    """

    matrix: Any
    offset: Array | float = 0.0

    @classmethod
    def entry(cls, k: int, n_m: int, n: int) -> Affine:
        """Entry ``k`` of an unknown of ``n_m`` numbers, the same at ``n`` points."""
        places = (np.arange(n), np.full(n, k))
        return cls(sparse.csr_array((np.ones(n), places), shape=(n, n_m)))

    @cached_property
    def _transposed(self) -> Any:
        return self.matrix.T.tocsr() if sparse.issparse(self.matrix) else self.matrix.T

    def __call__(self, m: Array) -> Array:
        """P m + c."""
        return np.asarray(self.matrix @ m + self.offset)

    def jvp(self, _m: Array, dm: Array) -> Array:
        """P dm."""
        return np.asarray(self.matrix @ dm)

    def vjp(self, _m: Array, w: Array) -> Array:
        """P^T w."""
        return np.asarray(self._transposed @ w)


def jacobian(coefficient: Coefficient, m: Array) -> Any:
    """The whole derivative at m, shape (n, n_m), sparse or dense, for unknowns of few numbers."""
    if isinstance(coefficient, Affine):
        return coefficient.matrix
    return np.stack([coefficient.jvp(m, e) for e in np.eye(len(m))], axis=1)
