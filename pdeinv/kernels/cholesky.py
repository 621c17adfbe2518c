"""Cholesky factors A = L Lᵀ of many matrices with one sparse pattern, a tile of them at a time.

Real matrices are positive definite; complex ones symmetric (not Hermitian) with a positive definite
real part, which need no pivots either (N. J. Higham, Math. Comp. 67 (1998)). A matrix that breaks
down fails alone. Complex symmetric matrices of any other kind are factored the same way where that
is asked for, and then whoever asks has to look at residuals (:mod:`pdeinv.fem.guarded_tiles`):
without pivots a small one spoils what follows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.analysis import analyzed
from pdeinv.kernels.build import kernel, library
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.factor import Factor, Storage
from pdeinv.kernels.layout import Layout, layout
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.symbolic import Supernodes
from pdeinv.kernels.tiles import address, lanes, parts, rows_of, tile_of
from pdeinv.typing import Array

__all__ = ["Cholesky"]

SINGLE = 4
"""One in so many of the rows of a tile, left over, are solved faster one by one than in a tile."""


class Cholesky:
    """Factors and solves for matrices of one symmetric pattern.

    Args:
        indptr: CSR pattern of the values, (n + 1,).
        indices: columns, (nnz,), none of them twice; both triangles, of which the lower one is
            read, or one of them.
        points: (n, dim), where the unknowns lie: nested dissection then cuts straight.
        order: the order of elimination, (n,); without it, that of the fewest multiply-adds of
            nested dissection and minimum degree.
        groups: of :func:`pdeinv.kernels.analysis.analyzed` for the same matrices, which spares the
            analysis.
        complex: whether the values are complex.
        indefinite: whether complex ones may have a real part that is not positive definite.

    Attributes:
        n: unknowns.
        nnz: values of one matrix.
        groups: the supernodes.
        complex: as given.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
        ConfigError: the factor is too large.
        ShapeError: ``order`` is no order of the unknowns.
    """

    def __init__(
        self,
        indptr: Any,
        indices: Any,
        *,
        points: Array | None = None,
        order: Any = None,
        groups: Supernodes | None = None,
        complex: bool = False,
        indefinite: bool = False,
    ) -> None:
        indptr, indices = np.asarray(indptr, np.int64), np.asarray(indices, np.int64)
        self.n, self.nnz, self.complex = len(indptr) - 1, len(indices), complex
        self.groups = groups or analyzed(indptr, indices, points, order)
        self._layout: Layout = layout(self.groups, indptr, indices, indefinite=indefinite)
        library()

    @property
    def plan(self) -> Any:
        """The address of the kernels' description."""
        return ctypes.addressof(self._layout.plan)

    def kernel(self, name: str, width: int) -> Any:
        """A compiled function for this number type and width."""
        return kernel(name, complex=self.complex, width=width)

    def bytes(self, width: int) -> int:
        """Bytes of the factors of one tile."""
        return 32 * int(self._layout.plan.quads) * width * (1 + self.complex)

    def room(self, width: int, sides: int) -> int:
        """Numbers that a solve keeps besides."""
        rows = self.n * sides + 4 * int(self._layout.plan.tallest)
        return rows * width * (1 + self.complex)

    def storage(self, width: int) -> Storage:
        """Memory for the factors of one tile."""
        return Storage(self.bytes(width) // 8)

    def factor(self, values: Array, storage: Storage | None = None) -> Factor:
        """The factors of a tile of matrices.

        Args:
            values: (nnz, width), or (nnz, 2, width) where they are complex; width is 1 or
                :func:`pdeinv.kernels.tiles.lanes`.
            storage: of :meth:`storage`; what it held is lost. New memory where None.

        Raises:
            ShapeError: ``values`` has another shape.
        """
        return self._factor(values, storage)[0]

    def factor_and_solve(
        self,
        values: Array,
        b: Array,
        storage: Storage | None = None,
        out: Array | None = None,
    ) -> tuple[Factor, Array]:
        """Factors and A^(-1) b at once: fewer bytes are moved, and no bit is another one.

        Args:
            values: as for :meth:`factor`.
            b: as for :meth:`Factor.solve`.
            storage: as for :meth:`factor`.
            out: as for :meth:`Factor.solve`.

        Raises:
            ShapeError: ``values`` or ``b`` has another shape.
        """
        factor, x = self._factor(values, storage, b, out)
        assert x is not None
        return factor, x

    def _factor(
        self,
        values: Array,
        storage: Storage | None,
        b: Array | None = None,
        out: Array | None = None,
    ) -> tuple[Factor, Array | None]:
        width = values.shape[-1]
        tail = (2, width) if self.complex else (width,)
        if values.shape != (self.nnz, *tail) or width not in (1, lanes()):
            raise ShapeError(
                f"values of shape {values.shape}, expected ({self.nnz}, "
                f"{'2, ' if self.complex else ''}{lanes()} or 1); put the lanes last"
            )
        values = np.ascontiguousarray(values, dtype=np.float64)
        held = self.storage(width) if storage is None else storage
        if held.held.size != self.bytes(width) // 8:
            raise ShapeError(f"the storage is not one of {width} lanes of these matrices")
        factor = Factor(self, held, np.zeros(width, dtype=np.int64))
        given = self.plan, address(values), address(held.held), address(factor.column)
        call = self.kernel("factor", width)
        if b is None:
            call(*given, None, None, 0, None)
            return factor, None
        b, x, sides = factor.sides(b, out)
        call(*given, address(b), address(x), sides, address(factor.room(sides)))
        return factor, x

    def parts(self, rows: int) -> Any:
        """A batch as tiles and single rows, whichever is faster; no bit depends on it."""
        return parts(rows, max(1, lanes() // SINGLE) if single_agrees() else 0)

    def solve_rows(self, values: Any, b: Any) -> tuple[Any, Any]:
        """A^(-1) b for every row, tile by tile: memory does not grow with the rows.

        Args:
            values: (rows, nnz).
            b: (rows, n), or (n,) for all of them; (rows, n, k) for k right-hand sides each.

        Returns:
            x of shape (rows, n) or (rows, n, k), NaN where a matrix failed; and (rows,), which did.

        Raises:
            ShapeError: ``values`` or ``b`` has another shape.
        """
        values, b = self._rows(values, b)
        x = np.empty((len(values), *b.shape[1:]), dtype=values.dtype)
        failed = np.empty(len(values), dtype=bool)
        desks: dict[int, _Desk] = {}
        for part in self.parts(len(values)):
            desk = desks.get(part.width) or desks.setdefault(part.width, _Desk(self, part.width))
            factor, solution = desk.solved(values[part.rows], b[part.rows] if len(b) > 1 else b)
            count = part.rows.stop - part.rows.start
            rows_of(solution, count, x[part.rows].reshape(count, -1))
            failed[part.rows] = factor.failed[:count]
        x[failed] = np.nan
        return x, failed

    def _rows(self, values: Any, b: Any) -> tuple[Any, Any]:
        kind = np.complex128 if self.complex else np.float64
        values = np.ascontiguousarray(values, dtype=kind)
        b = np.ascontiguousarray(np.atleast_2d(b), dtype=kind)
        if values.shape != (len(values), self.nnz):
            raise ShapeError(f"values of shape {values.shape}, expected (rows, {self.nnz})")
        if b.ndim > 3 or b.shape[1] != self.n or len(b) not in (1, len(values)):
            raise ShapeError(
                f"right-hand sides of shape {b.shape}, expected ({len(values)} or 1, {self.n}[, k])"
            )
        return values, b


class _Desk:
    """Memory in which one tile of rows after the other is solved."""

    def __init__(self, of: Cholesky, width: int) -> None:
        self._of, self._width, self._storage = of, width, of.storage(width)
        self._values: Array | None = None
        self._sides: Array | None = None

    def solved(self, values: Any, b: Any) -> tuple[Factor, Array]:
        """Factor and solutions of up to a tile of rows."""
        self._values = tile_of(values, self._width, self._values)
        self._sides = tile_of(b.reshape(len(b), -1), self._width, self._sides)
        sides = self._sides.reshape(*b.shape[1:], *self._sides.shape[1:])
        out = sides if self._width > 1 else None
        return self._of.factor_and_solve(self._values, sides, self._storage, out)


@cache
def single_agrees() -> bool:
    """Whether one row alone gets the bits of a tile's lane from what the compiler made.

    It does where products and sums are fused alike in both, which no flag of C promises.
    """
    n = 23
    rng = np.random.default_rng(0)
    entries = rng.standard_normal((lanes(), n, n))
    values = np.einsum("rik,rjk->rij", entries, entries) + n * np.eye(n)
    b = rng.standard_normal((lanes(), n))
    calls = [product(values[0]).tile for product in (Sparse, Dense)]
    kinds = ((np.float64, 0.0), (np.complex128, 0.0), (np.complex128, 2.0 * n))
    return all(_same(call, b) for call in calls) and all(
        _same_factor(values - shift * np.eye(n), b, kind) for kind, shift in kinds
    )


def _same(call: Callable[[Array], Array], rows: Any) -> bool:
    """Whether the first lane of a tile comes out as if alone."""
    many, one = call(tile_of(rows, lanes())), call(tile_of(rows[:1], 1))
    return bool(np.array_equal(many[..., 0], one[..., 0]))


def _same_factor(values: Array, b: Array, kind: Any) -> bool:
    complex, n = kind is np.complex128, b.shape[1]
    pattern = np.arange(n + 1) * n, np.tile(np.arange(n), n)
    one = Cholesky(*pattern, order=np.arange(n), complex=complex, indefinite=complex)
    given = (values + 0.3j * values[::-1] if complex else values).reshape(len(values), -1)

    def solved(sides: Array) -> Array:
        width = sides.shape[-1]
        return one.factor(tile_of(given[:width], width)).solve(sides)

    return _same(solved, b.astype(kind))
