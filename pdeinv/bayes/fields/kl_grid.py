"""Karhunen-Loève functions on a regular grid, one kind of reflection symmetry at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.fields import eigen
from pdeinv.bayes.fields.basis import canonical, reference_functions
from pdeinv.bayes.fields.fft import covariance_action
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.parity import Parity, parities, representative
from pdeinv.typing import Array

__all__ = ["count", "modes_on_grid"]

KRYLOV_SHARE = 1 / 12
"""The share of a kind's functions up to which products are faster than the whole matrix."""

Pairs = tuple[Array, Array]
"""Eigenvalues in falling order, and eigenvectors as columns."""


def count(values: Array, modes: float, total: float) -> int:
    """How many of the eigenvalues to keep."""
    if modes >= 1:
        return int(modes)
    enough = np.flatnonzero(np.cumsum(values) >= modes * total)
    return int(enough[0]) + 1 if len(enough) else len(values)


def modes_on_grid(
    grid: RegularGrid, covariance: Matern, modes: float
) -> tuple[Array, Array, NDArray[np.int64]]:
    """The leading λ_k, and sqrt(λ_k w) φ_k at the nodes with their weights w, shape (size, dim).

    The third of the arrays says which of :func:`pdeinv.bayes.fields.parity.parities` each is.

    Args:
        grid: the nodes.
        covariance: covariance by distance.
        modes: how many (1 or more), or the share of variance to keep (below 1).
    """
    problem, kinds = _Problem(grid, covariance), parities(grid)
    found = _enough(problem, kinds, modes)
    values = np.concatenate([found[k][0] for k in kinds])
    kind: NDArray[np.int64] = np.repeat(np.arange(len(kinds)), [len(found[k][0]) for k in kinds])
    order = np.lexsort((kind, -values))
    order = order[: count(values[order], modes, problem.total)]
    kept = np.bincount(kind[order], minlength=len(kinds)).tolist()
    root = np.hstack([problem.root(k, found[k], n) for k, n in zip(kinds, kept, strict=True)])
    return values[order], root[:, np.argsort(np.argsort(order))], kind[order]


def _enough(problem: _Problem, kinds: list[Parity], modes: float) -> dict[Parity, Pairs]:
    """Eigenpairs of each kind, some beyond all that are kept; more and more until that is sure."""
    first = 32 if modes < 1 else int(modes) // len(kinds) + 2 * eigen.SPARE
    wanted, solved = dict.fromkeys(kinds, first), dict[Parity, Pairs]()
    while True:
        for kind in kinds:
            twin, _ = representative(kind)
            if len(solved.get(twin, ((), ()))[0]) < min(wanted[kind], kind.size):
                solved[twin] = problem.pairs(twin, wanted[kind])
        found = {kind: problem.exchanged(kind, solved) for kind in kinds}
        values = np.sort(np.concatenate([pairs[0] for pairs in found.values()]))[::-1]
        n = count(values, modes, problem.total)
        cut = values[n - 1] if n < len(values) else 0.0
        short = [k for k in kinds if len(found[k][0]) < k.size and not _beyond(found[k][0], cut)]
        if not short:
            return found
        wanted |= {kind: 2 * len(found[kind][0]) for kind in short}


def _beyond(values: Array, cut: float) -> bool:
    """Whether the last few of a kind's eigenvalues, in falling order, are below the cut."""
    return bool(values[-min(eigen.SPARE, len(values))] < cut)


@dataclass(frozen=True)
class _Problem:
    """The matrix D C D with D² the weights, symmetric, in the kinds of functions on the grid."""

    grid: RegularGrid
    covariance: Matern

    @cached_property
    def half(self) -> Array:
        """The diagonal of D."""
        return np.sqrt(self.grid.weights)

    @cached_property
    def total(self) -> float:
        """The integral of the variance, the trace of the matrix."""
        return self.covariance.std**2 * float(np.sum(self.grid.weights))

    @cached_property
    def _reference(self) -> Array:
        return self.half[:, None] * reference_functions(self.grid.points)

    @cached_property
    def _table(self) -> Array:
        """C by the number of steps along each axis."""
        squares = np.zeros(())
        for h, n in zip(self.grid.spacing, self.grid.shape, strict=True):
            squares = np.add.outer(squares, (h * np.arange(n)) ** 2)
        return self.covariance(np.sqrt(squares))

    def pairs(self, kind: Parity, k: int) -> Pairs:
        """At least ``k`` leading eigenpairs of a kind, or all where there are no more.

        By products alone where only a small share is wanted.
        """
        if k > KRYLOV_SHARE * kind.size:
            return eigen.dense(kind.block(self._table, self.half))
        action = covariance_action(self.grid, self.covariance)

        def product(v: Array) -> Array:
            return kind.gather(self.half * action(self.half * kind.spread(v)))

        return eigen.krylov(product, k, kind.gather(self._reference[:, :2]))

    def exchanged(self, kind: Parity, solved: dict[Parity, Pairs]) -> Pairs:
        """The eigenpairs of a kind from those of its representative."""
        twin, axes = representative(kind)
        values, vectors = solved[twin]
        arrays = vectors.reshape(*twin.shape, -1).transpose(*axes, len(axes))
        return values, arrays.reshape(kind.size, -1)

    def root(self, kind: Parity, pairs: Pairs, n: int) -> Array:
        """The first ``n`` columns of V Λ^(1/2) on the whole grid, signs and bases fixed."""
        some = n + eigen.SPARE
        values, vectors = pairs[0][:some], pairs[1][:, :some]
        return kind.spread(canonical(values, vectors, kind.gather(self._reference))[:, :n])
