"""The Darcy forward model: conductivity parameters to heads at sensors, with its derivative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.fem.compiled import CompiledSystem
from pdeinv.fem.reduced import ReducedSystem
from pdeinv.fem.reduced_tiles import ReducedTiles, Solved
from pdeinv.fem.tiled import TiledModel
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.tiles import Part
from pdeinv.model.reference import check_positive
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["DarcyModel", "DarcyTiles"]


class DarcyModel(TiledModel):
    """G(m) = B u with A(m) u = b, A linear in the parameters m of κ.

    dG[dm] = −B A^(-1) A(dm) u and dG^T w = −∂/∂m λ^T A(m) u with A λ = B^T w. The factor of A(m) is
    kept, so that tangents and adjoints at the last m cost one triangular solve each.

    Args:
        spaces: of m and of the data.
        system: the discrete equation.
        observation: B, sparse, from all degrees of freedom to data.

    Attributes:
        system: as given.
        held: what prescribed values give at the sensors.
    """

    def __init__(
        self, spaces: tuple[Space, Space], system: ReducedSystem, observation: Any
    ) -> None:
        super().__init__(*spaces)
        self.system = system
        self._observed = observation[:, system.free]
        self.held = observation @ system.values
        self._back = self._observed.T.tocsr()

    def tiles(self) -> DarcyTiles | None:
        """The same for tiles, where the compiled kernels solve."""
        solver = self.system.linear
        if not isinstance(solver, CompiledSystem):
            return None
        equation = ReducedTiles(self.system, solver.cholesky)
        return DarcyTiles(self, equation, Sparse(self._observed), Sparse(self._back))

    def check(self, m: Array) -> None:
        """Refuse an m that is no conductivity.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_positive(m, "conductivity", " of m")

    def solved(self, m: Array) -> Array:
        """u where it is free."""
        self.check(m)
        self.system.factor(m)
        return self.system.state(m)

    def data(self, m: Array, *, again: bool) -> Array:
        """B u."""
        return np.asarray(self._observed @ self.state(m) + self.held)

    def tangent(self, m: Array, dm: Array) -> Array:
        """−B A^(-1) A(dm) u."""
        return np.asarray(self._observed @ self.system.tangent(self.state(m), dm))

    def adjoint(self, m: Array, w: Array) -> Array:
        """−∂/∂m λ^T A(m) u."""
        return self.system.pullback(self.state(m), self._back @ w)


@dataclass(frozen=True)
class DarcyTiles:
    """The model for a tile of unknowns (n_m, width).

    Attributes:
        model: of one unknown.
        equation: the discrete equation.
        observed: B where u is free.
        back: its transpose.
    """

    model: DarcyModel
    equation: ReducedTiles
    observed: Sparse
    back: Sparse

    def check(self, m: Array) -> None:
        """Refuse one m that is no conductivity."""
        self.model.check(m)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        return self.equation.parts(rows)

    def bytes(self, width: int) -> int:
        """What factor and solution of a tile hold."""
        return self.equation.bytes(width)

    def solved(self, m: Array) -> Solved:
        """Factors and u where it is free."""
        return self.equation.solved(m)

    def data(self, state: Solved, *, again: bool) -> Array:
        """B u."""
        return np.asarray(self.observed.tile(state.u) + self.model.held[:, None])

    def tangent(self, state: Solved, dm: Array) -> Array:
        """−B A^(-1) A(dm) u."""
        return self.observed.tile(self.equation.tangent(state, dm))

    def adjoint(self, state: Solved, w: Array) -> Array:
        """−∂/∂m λ^T A(m) u."""
        return self.equation.pullback(state, self.back.tile(w))
