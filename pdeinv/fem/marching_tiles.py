"""Steps in time for a tile of runs at once: with one operator for all, or with one for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.fem.compiled import CompiledSystem, cholesky_of
from pdeinv.fem.marching import Forcing, Marching, Step
from pdeinv.fem.schemes import SCHEMES, Scheme
from pdeinv.fem.transient import ParabolicSystem
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.factor import Factor
from pdeinv.kernels.product import Product
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.kernels.tiles import Part, lanes, parts
from pdeinv.typing import Array

__all__ = ["Columns", "OwnOperators", "SharedOperator", "TileMarching"]


class TileMarching(Marching):
    """The steps of a tile.

    Args:
        system: the equation of one run.
        steps: the first step and the others.
        width: of the tile.
    """

    def __init__(self, system: ParabolicSystem, steps: tuple[Step, Step], width: int) -> None:
        self.scheme, self.steps, self.fixed = system.scheme, system.steps, system.fixed
        self.start, self.main = steps
        self._shape = system.space.size, width

    def zeros(self) -> Array:
        """A tile of zeros."""
        return np.zeros(self._shape)


class Columns:
    """What a forcing gives to every lane: (n,) as (n, 1), the same array while it is the same."""

    def __init__(self, forcing: Forcing) -> None:
        self._forcing = forcing
        self._last: tuple[Array | None, Array | None] = (None, None)

    def __call__(self, n: int) -> Array | None:
        """The column at level ``n``."""
        found = self._forcing(n)
        if found is None:
            return None
        if self._last[0] is not found:
            self._last = (found, found[:, None])
        return self._last[1]


@dataclass(frozen=True)
class _Times:
    """One matrix for all lanes."""

    product: Product

    def __matmul__(self, u: Array) -> Array:
        return self.product.tile(u)


class _SharedStep:
    """A step of the operator that the system holds."""

    def __init__(self, one: Any) -> None:
        self._one, self.scheme = one, one.scheme
        self.past = [_Times(Sparse(c)) for c in one.past]
        self._lifted: tuple[Array | None, Array] = (None, np.zeros(0))

    def solve(self, r: Array) -> Array:
        solver: CompiledSystem = self._one.solver
        return solver.solve_tile(r)

    def lifted(self, values: Array) -> Array:
        if self._lifted[0] is not values:
            self._lifted = (values, np.asarray(self._one.lifted(values[:, 0])[:, None]))
        return self._lifted[1]


class SharedOperator:
    """One operator, which does not depend on the unknown: lanes are right-hand sides.

    Args:
        system: with its operator set.
    """

    def __init__(self, system: ParabolicSystem) -> None:
        main = _SharedStep(system.main)
        start = main if system.start is system.main else _SharedStep(system.start)
        self._marching = TileMarching(system, (start, main), lanes())

    def parts(self, rows: int) -> Iterator[Part]:
        """Whole tiles: vectors of right-hand sides are what the kernel works on."""
        return parts(rows)

    def bytes(self, _width: int) -> int:
        """Nothing that belongs to a tile is kept."""
        return 0

    def marching(self, _stiffness: None) -> TileMarching:
        """The steps."""
        return self._marching


@dataclass(frozen=True)
class _LaneMatrix:
    """A matrix for each lane; products with vectors of them."""

    pattern: Symmetric
    entries: Array

    def __matmul__(self, u: Array) -> Array:
        return self.pattern.times(self.entries, u)


class _OwnStep:
    """A step of one operator for each lane."""

    def __init__(self, of: OwnOperators, scheme: Scheme, stiffness: Array) -> None:
        self._of, self.scheme = of, scheme
        m = of.mass[:, None]
        self._whole = scheme.alpha[0] * m + scheme.beta[0] * stiffness
        coefficients = zip(scheme.alpha[1:], scheme.beta[1:], strict=True)
        self.past = [of.matrix(-(a * m + b * stiffness)) for a, b in coefficients]
        self._lifted: tuple[Array | None, Array] = (None, np.zeros(0))

    @cached_property
    def _factor(self) -> Factor:
        return self._of.factor(self._whole)

    def solve(self, r: Array) -> Array:
        return self._factor.solve(r)

    def lifted(self, values: Array) -> Array:
        """What prescribed values add to A u; kept while the same array comes again."""
        if self._lifted[0] is not values:
            u = np.zeros((self._of.n, self._whole.shape[-1]))
            u[self._of.fixed] = values
            self._lifted = (values, self._of.matrix(self._whole) @ u)
        return self._lifted[1]


class OwnOperators:
    """An operator for each lane, given by its entries.

    Args:
        system: the equation of one run.

    Attributes:
        n, fixed: degrees of freedom, and those that are prescribed.
        rows, columns: of the entries of the lower triangle.
        mass: M/Δt there.
        pattern: products with matrices of such entries.
    """

    def __init__(self, system: ParabolicSystem) -> None:
        self._system, self.n, self.fixed = system, system.space.size, system.fixed
        self.rows, self.columns = system.lower
        self.mass = system.lower_of(system.mass.data) / system.dt
        self.pattern = Symmetric(self.n, self.rows, self.columns)
        held = np.zeros(self.n, dtype=bool)
        held[self.fixed] = True
        self._cut = np.flatnonzero(held[self.rows] | held[self.columns])
        self._unit = np.flatnonzero(held[self.rows] & (self.rows == self.columns))
        starts = np.searchsorted(self.rows, np.arange(self.n + 1))
        self._cholesky: Cholesky = cholesky_of(starts, self.columns, system.space.points)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        found: Iterator[Part] = self._cholesky.parts(rows)
        return found

    def bytes(self, width: int) -> int:
        """Factors and matrices of a tile."""
        steps = len(self._system.scheme.alpha) - 1
        return steps * (self._cholesky.bytes(width) + 24 * len(self.rows) * width)

    def matrix(self, entries: Array) -> _LaneMatrix:
        """The matrices of entries (lower, width)."""
        return _LaneMatrix(self.pattern, entries)

    def factor(self, entries: Array) -> Factor:
        """Their factors; rows and columns of what is prescribed are those of the identity."""
        entries = entries.copy()
        entries[self._cut] = 0.0
        entries[self._unit] = 1.0
        return self._cholesky.factor(entries)

    def marching(self, stiffness: Array) -> TileMarching:
        """The steps with K of these entries."""
        scheme = self._system.scheme
        main = _OwnStep(self, scheme, stiffness)
        start = main
        if len(scheme.alpha) > 2:
            start = _OwnStep(self, SCHEMES["implicit-euler"], stiffness)
        return TileMarching(self._system, (start, main), stiffness.shape[-1])
