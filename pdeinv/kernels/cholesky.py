"""Cholesky factors A = L Lᵀ of many matrices with one sparse pattern, a tile of them at a time.

Real matrices are positive definite; complex ones symmetric (not Hermitian) with a positive definite
real part, which need no pivots either (N. J. Higham, Math. Comp. 67 (1998)). A matrix that breaks
down fails alone.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.kernels.layout import Layout, layout
from pdeinv.kernels.ordering import Index, dissection, graph, minimum_degree
from pdeinv.kernels.symbolic import Supernodes, supernodes
from pdeinv.kernels.tiles import Part, empty, lanes, parts, rows_of, tile_of
from pdeinv.typing import Array

__all__ = ["Cholesky", "Factor"]

SINGLE = 2
"""Rows left over by whole tiles that are solved faster one by one than in a tile of their own."""


@dataclass(frozen=True)
class Factor:
    """The factors of one tile of matrices.

    Attributes:
        of: pattern and order.
        storage: L, as the kernels keep it.
        column: (width,), 0 where the factor exists, else 1 + the column at which it broke down.
    """

    of: Cholesky
    storage: Array
    column: Index

    @property
    def failed(self) -> Any:
        """(width,), which matrices are not positive definite; their solutions hold NaN."""
        return self.column > 0

    def solve(self, b: Array, out: Array | None = None) -> Array:
        """A^(-1) b, lane by lane.

        Args:
            b: (n, width) or (n, k, width); for complex matrices (n, 2, width) or (n, k, 2, width),
                real and imaginary parts.
            out: where to put the result, may be ``b``; a new array where None.

        Raises:
            ShapeError: ``b`` has another shape.
        """
        of, width = self.of, len(self.column)
        tail = (2, width) if of.complex else (width,)
        if b.shape[:1] != (of.n,) or b.shape[-len(tail) :] != tail or b.ndim > len(tail) + 2:
            raise ShapeError(
                f"right-hand sides of shape {b.shape}, expected ({of.n}, [k,] "
                f"{', '.join(map(str, tail))}); put the lanes last"
            )
        b = np.ascontiguousarray(b, dtype=np.float64)
        x = empty(*b.shape) if out is None else out
        sides = b.size // (of.n * width * (1 + of.complex))
        of.kernel("solve", width)(
            of.plan, _at(self.storage), _at(b), _at(x), sides, _at(of.room(width, sides))
        )
        return x


class Cholesky:
    """Factors and solves for matrices of one symmetric pattern.

    Args:
        indptr: CSR pattern of the values, (n + 1,).
        indices: columns, (nnz,); both triangles, of which the lower one is read, or one of them.
        points: (n, dim), where the unknowns lie: nested dissection then cuts straight.
        order: the order of elimination, (n,); without it, that of the fewest multiply-adds of
            nested dissection and minimum degree.
        complex: whether the values are complex.

    Attributes:
        n: unknowns.
        nnz: values of one matrix.
        groups: the supernodes.
        complex: as given.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
        ConfigError: the factor is too large.
    """

    def __init__(
        self,
        indptr: Any,
        indices: Any,
        *,
        points: Array | None = None,
        order: Any = None,
        complex: bool = False,
    ) -> None:
        indptr, indices = np.asarray(indptr, np.int64), np.asarray(indices, np.int64)
        self.n, self.nnz, self.complex = len(indptr) - 1, len(indices), complex
        self.groups = _groups(indptr, indices, points, order)
        self._layout: Layout = layout(self.groups, indptr, indices)
        self._rooms: dict[tuple[int, int], Array] = {}
        library()

    @property
    def plan(self) -> Any:
        """The address of the kernels' description."""
        return ctypes.addressof(self._layout.plan)

    def kernel(self, name: str, width: int) -> Any:
        """A compiled function for this number type and width."""
        return getattr(library(), f"{name}_{_kind(self.complex, width)}")

    def bytes(self, width: int) -> int:
        """Bytes of the factors of one tile."""
        return 32 * int(self._layout.plan.quads) * width * (1 + self.complex)

    def room(self, width: int, sides: int) -> Array:
        """Working memory of a solve."""
        key = width, sides
        if key not in self._rooms:
            rows = self.n * sides + 4 * self._layout.plan.tallest
            self._rooms[key] = empty(max(rows, 1) * width * (1 + self.complex))
        return self._rooms[key]

    def storage(self, width: int) -> Array:
        """Memory for the factors of one tile, to be used again and again."""
        return empty(self.bytes(width) // 8)

    def factor(self, values: Array, storage: Array | None = None) -> Factor:
        """The factors of a tile of matrices.

        Args:
            values: (nnz, width), or (nnz, 2, width) where they are complex; width is 1 or
                :func:`pdeinv.kernels.tiles.lanes`.
            storage: of :meth:`storage`; what it held is lost. New memory where None.

        Raises:
            ShapeError: ``values`` has another shape.
        """
        width = values.shape[-1]
        tail = (2, width) if self.complex else (width,)
        if values.shape != (self.nnz, *tail) or width not in (1, lanes()):
            raise ShapeError(
                f"values of shape {values.shape}, expected ({self.nnz}, "
                f"{'2, ' if self.complex else ''}{lanes()} or 1); put the lanes last"
            )
        values = np.ascontiguousarray(values, dtype=np.float64)
        held = self.storage(width) if storage is None else storage
        column = np.zeros(width, dtype=np.int64)
        self.kernel("factor", width)(self.plan, _at(values), _at(held), _at(column))
        return Factor(self, held, column)

    def parts(self, rows: int) -> Any:
        """A batch as tiles and single rows, whichever is faster; no bit depends on it."""
        return parts(rows, SINGLE if single_agrees() else 0)

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
        storage: dict[int, Array] = {}
        for part in self.parts(len(values)):
            held = storage.setdefault(part.width, self.storage(part.width))
            factor = self.factor(tile_of(values[part.rows], part.width), held)
            solution = factor.solve(self._sides(b, part))
            count = part.rows.stop - part.rows.start
            rows_of(solution, count, x[part.rows].reshape(count, -1))
            failed[part.rows] = factor.failed[:count]
        x[failed] = np.nan
        return x, failed

    def _sides(self, b: Any, part: Part) -> Array:
        """Right-hand sides of some rows as a tile."""
        mine = b[part.rows] if len(b) > 1 or part.rows.stop == 1 else b
        tile = tile_of(mine.reshape(len(mine), -1), part.width)
        return tile.reshape(*b.shape[1:], *tile.shape[1:])

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


def _kind(complex: bool, width: int) -> str:
    return f"{'complex' if complex else 'real'}_{'1' if width == 1 else 'n'}"


def _at(array: Any) -> Any:
    return array.ctypes.data


def _groups(indptr: Index, indices: Index, points: Array | None, order: Any) -> Supernodes:
    """The supernodes of the given order, else of the one with the fewest multiply-adds."""
    pattern = graph(indptr, indices)
    if order is not None:
        return supernodes(pattern, np.asarray(order, dtype=np.int64))
    found = (dissection(pattern, points), minimum_degree(pattern))
    return min((supernodes(pattern, o) for o in found), key=Supernodes.work)


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
    whole = np.arange(n + 1) * n, np.tile(np.arange(n), n)
    for complex in (False, True):
        one = Cholesky(*whole, order=np.arange(n), complex=complex)
        given, sides = (values + 0.3j * values[::-1], b + 1j) if complex else (values, b)
        tiled = one.factor(tile_of(given.reshape(lanes(), -1), lanes()))
        many = tiled.solve(tile_of(sides, lanes()))
        alone = one.factor(tile_of(given.reshape(lanes(), -1)[:1], 1)).solve(tile_of(sides[:1], 1))
        if not np.array_equal(many[..., 0], alone[..., 0]):
            return False
    return True
