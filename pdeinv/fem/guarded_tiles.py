"""Solves with complex symmetric matrices that are factored without pivots, and looked at.

Without pivots a factor may be exact to few digits where a leading block of the matrix is nearly
singular. The backward error of every solution tells (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, SIAM 2002, theorem 7.1); steps of iterative refinement mend it (chapter 12),
and where they do not there is no solution. All of it is decided lane by lane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdeinv.fem.surroundings import Ints
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.factor import Factor, Storage
from pdeinv.kernels.lanewise import lane_largest
from pdeinv.kernels.spare import Spare
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.kernels.tiles import Part
from pdeinv.typing import Array

__all__ = ["BOUND", "STEPS", "Guarded", "GuardedTiles"]

BOUND = 1e-13
"""The largest backward error of a solution, in the norms of the largest entry."""

STEPS = 2
"""Refinements before a lane is given up; the second one is seldom needed."""


@dataclass(frozen=True)
class Guarded:
    """The factors of a tile with its matrices.

    Attributes:
        of: what made them.
        factor: of A.
        entries: of A, (entries, 2, width).
    """

    of: GuardedTiles
    factor: Factor
    entries: Array

    def solve(self, b: Array) -> Array:
        """A^(-1) b for b (n, sides, 2, width), NaN in the lanes that do not come out."""
        return self.of.refined(self, self.factor.solve(b), b)


class GuardedTiles:
    """Matrices of one pattern, a tile at a time.

    Args:
        cholesky: of the lower triangle, for indefinite complex matrices.
        rows: of its entries.
        columns: of its entries.
        bound: the largest backward error.
    """

    def __init__(self, cholesky: Cholesky, rows: Ints, columns: Ints, bound: float = BOUND) -> None:
        self._cholesky, self._bound = cholesky, bound
        self._pattern = Symmetric(cholesky.n, rows, columns, complex=True)
        self._spare = Spare[Storage]()

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        parts: Iterator[Part] = self._cholesky.parts(rows)
        return parts

    def bytes(self, width: int) -> int:
        """What factors and entries of a tile hold."""
        return self._cholesky.bytes(width) + 16 * width * self._cholesky.nnz

    def factor_and_solve(self, entries: Array, b: Array) -> tuple[Guarded, Array]:
        """Factors and A^(-1) b, NaN in the lanes that do not come out."""
        width = b.shape[-1]
        storage = self._spare.take(width, lambda: self._cholesky.storage(width))
        factor, x = self._cholesky.factor_and_solve(entries, b, storage)
        found = Guarded(self, factor, entries)
        self._spare.lend(width, storage, found)
        return found, self.refined(found, x, b)

    def refined(self, at: Guarded, x: Array, b: Array) -> Array:
        """A solution, made better in the lanes whose backward error is above the bound."""
        size = lane_largest(at.entries)
        for step in range(STEPS + 1):
            rest = b - self._pattern.times(at.entries, x)
            # NaN is above every bound
            bad = ~(lane_largest(rest) <= self._bound * (size * lane_largest(x) + lane_largest(b)))
            if not bad.any():
                return x
            if step < STEPS:
                x[..., bad] += at.factor.solve(rest)[..., bad]
        x[..., bad] = np.nan
        return x
