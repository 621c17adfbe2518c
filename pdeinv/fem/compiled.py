"""Symmetric positive definite systems on one rank by the compiled kernels, orders kept."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import SolverDiverged
from pdeinv.kernels.analysis import analyzed
from pdeinv.kernels.build import available
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.factor import Factor
from pdeinv.kernels.symbolic import Supernodes
from pdeinv.kernels.tiles import tile_of
from pdeinv.typing import Array

__all__ = [
    "LIMIT",
    "CompiledSystem",
    "cholesky_of",
    "factor_bytes",
    "indefinite_cholesky",
    "pays",
]

LIMIT = 70_000
"""Unknowns up to which factors of a tile take 0.2 GB in the plane; beyond, MUMPS takes over."""


def pays(n: int) -> bool:
    """Whether the kernels solve systems of ``n`` unknowns here: they compile, n is in bounds."""
    return n <= LIMIT and available()


def cholesky_of(indptr: Any, indices: Any, points: Array, *, complex: bool = False) -> Cholesky:
    """Order and symbolic factor of a pattern, kept for the next model on the same mesh.

    Args:
        indptr: CSR pattern; both triangles or the lower one.
        indices: columns.
        points: where the unknowns lie, (n, dim).
        complex: whether the entries are.
    """
    where = np.ascontiguousarray(points, dtype=np.float64)
    return _kept(_held(indptr), _held(indices), _Kind(where.tobytes(), where.shape[1], complex))


def indefinite_cholesky(
    indptr: Any, indices: Any, points: Array, last: NDArray[np.int64]
) -> Cholesky:
    """The same for complex symmetric matrices that may be indefinite; solutions want a guard.

    Args:
        indptr: as for :func:`cholesky_of`.
        indices: as there.
        points: as there.
        last: unknowns that are eliminated after all others.
    """
    where = np.ascontiguousarray(points, dtype=np.float64)
    kind = _Kind(where.tobytes(), where.shape[1], True, _held(last))
    return _kept(_held(indptr), _held(indices), kind)


def _held(numbers: Any) -> bytes:
    return np.asarray(numbers, np.int64).tobytes()


class _Kind(NamedTuple):
    """What belongs to a pattern: places, kind of entries, and what comes last where indefinite."""

    points: bytes
    dim: int
    complex: bool
    last: bytes | None = None


@lru_cache(maxsize=16)
def _kept(starts: bytes, columns: bytes, kind: _Kind) -> Cholesky:
    indptr, indices = _numbers(starts), _numbers(columns)
    n = len(indptr) - 1
    rows = np.repeat(np.arange(n), np.diff(indptr))
    # one analysis for real and complex entries, for both triangles and for one
    lower = np.sort((rows * n + indices)[indices <= rows])
    groups = _analyzed(lower.tobytes(), n, kind._replace(complex=False))
    free = kind.last is not None
    return Cholesky(indptr, indices, groups=groups, complex=kind.complex, indefinite=free)


@lru_cache(maxsize=16)
def _analyzed(lower: bytes, n: int, kind: _Kind) -> Supernodes:
    rows, columns = np.divmod(_numbers(lower), n)
    places, last = np.frombuffer(kind.points).reshape(-1, kind.dim), _numbers(kind.last or b"")
    return analyzed(np.searchsorted(rows, np.arange(n + 1)), columns, places, last=last)


def _numbers(held: bytes) -> NDArray[np.int64]:
    return np.frombuffer(held, dtype=np.int64)


def factor_bytes(n: int) -> int:
    """Bytes of one real factor of a plane mesh with ``n`` unknowns, known before it is ordered.

    Nested dissection leaves O(n log n) entries (George 1973); the constants fit bilinear elements
    on 33² to 257² nodes.
    """
    return int(8 * n * (3 + 2.5 * math.log2(max(n, 2))))


class CompiledSystem:
    """A u = b for one matrix at a time, given by the entries of its pattern.

    Args:
        cholesky: order and symbolic factor of the pattern.
        hint: what may be wrong where a matrix cannot be factored, for messages.

    Attributes:
        cholesky: as given.
        method: the name of this way to solve.
    """

    method = "compiled"

    def __init__(
        self,
        cholesky: Cholesky,
        hint: str = "the coefficient varies too much or is invalid",
    ) -> None:
        self.cholesky, self._hint = cholesky, hint
        self._storage = cholesky.storage(1)
        self._entries: Any = None
        self._factor: Factor | None = None

    def fill(self, entries: Any) -> None:
        """Take the entries; the next solve factors them."""
        self._entries, self._factor = entries, None

    def solve(self, b: Any) -> Any:
        """A^(-1) b for b (n,) or (n, k), real or complex; the first call factors.

        Raises:
            SolverDiverged: the matrix is not positive definite, in its real part where complex.
        """
        self._factored()
        x = self._solved(b)
        if not np.isfinite(x).all():
            raise SolverDiverged(
                f"linear solver ({self.method}) failed: the matrix is not positive definite or "
                f"nearly singular; {self._hint}"
            )
        return x

    def solve_tile(self, b: Array) -> Array:
        """A^(-1) b for a tile of right-hand sides (n, lanes), NaN where there is no factor."""
        return self._factored().solve_shared(b)

    def _factored(self) -> Factor:
        if self._factor is None:
            self._factor = self.cholesky.factor(tile_of(self._entries[None], 1), self._storage)
        return self._factor

    def _solved(self, b: Any) -> Any:
        assert self._factor is not None
        if not self.cholesky.complex:
            if np.iscomplexobj(b):
                return self._solved(b.real) + 1j * self._solved(b.imag)
            return self._factor.solve(b[..., None])[..., 0]
        parts = self._factor.solve(np.stack([b.real, b.imag], axis=-1)[..., None])[..., 0]
        return parts[..., 0] + 1j * parts[..., 1]
