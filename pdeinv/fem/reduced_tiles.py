"""The equation of :class:`pdeinv.fem.reduced.ReducedSystem` for a tile of parameters at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdeinv.fem.reduced import ReducedSystem
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.factor import Factor, Storage
from pdeinv.kernels.spare import Spare
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.kernels.tiles import Part
from pdeinv.typing import Array

__all__ = ["ReducedTiles", "Solved"]


@dataclass(frozen=True)
class Solved:
    """Factors and solutions (n, width) of a tile.

    Attributes:
        factor: of A(m).
        u: where it is free; NaN where a factor failed.
    """

    factor: Factor
    u: Array


class ReducedTiles:
    """State, tangents and adjoints of a tile of parameters (n_m, width).

    Args:
        system: the equation, solved by compiled kernels.
        cholesky: of its matrix.
    """

    def __init__(self, system: ReducedSystem, cholesky: Cholesky) -> None:
        lower = system.lower
        self._cholesky = cholesky
        self._entries, self._back = Sparse(lower.map), Sparse(lower.transposed)
        self._lift = None if system.lift is None else Sparse(system.lift)
        self._lift_back = None if system.lift is None else Sparse(system.lift.T)
        self._load = system.load[:, None]
        self._spare = Spare[Storage]()
        self._pattern = Symmetric(len(system.load), lower.rows, lower.columns)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        parts: Iterator[Part] = self._cholesky.parts(rows)
        return parts

    def bytes(self, width: int) -> int:
        """What factor and solution of a tile hold."""
        return self._cholesky.bytes(width) + 8 * width * self._cholesky.n

    def solved(self, m: Array) -> Solved:
        """Factors of A(m) and the solutions."""
        b = np.broadcast_to(self._load, (len(self._load), m.shape[-1]))
        if self._lift is not None:
            b = b - self._lift.tile(m)
        width = m.shape[-1]
        storage = self._spare.take(width, lambda: self._cholesky.storage(width))
        found = Solved(*self._cholesky.factor_and_solve(self._entries.tile(m), b, storage))
        self._spare.lend(width, storage, found)
        return found

    def tangent(self, at: Solved, dm: Array) -> Array:
        """du with A du = −A(dm) u."""
        r = self._pattern.times(self._entries.tile(dm), at.u)
        if self._lift is not None:
            r += self._lift.tile(dm)
        return at.factor.solve(-r)

    def pullback(self, at: Solved, w: Array) -> Array:
        """The gradient of w·u along m: −∂/∂m λᵀ A(m) u with A λ = w."""
        adjoint = at.factor.solve(w)
        gradient = self._back.tile(self._pattern.pairs(adjoint, at.u))
        if self._lift_back is not None:
            gradient += self._lift_back.tile(adjoint)
        return np.asarray(-gradient)
