"""How each unknown enters the equation, for a tile: the classes of :mod:`.entries` by lanes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from pdeinv.fem.marching import Forcing
from pdeinv.fem.marching_tiles import Columns
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

from .entries import AdjointStep, Change, Entry, InitialState, SideFlux, SourceField, plus

__all__ = ["EntryTiles", "FluxTiles", "InitialTiles", "SourceTiles"]


class EntryTiles:
    """What is shared: the known initial state and loads, the same in every lane."""

    operator: ClassVar[bool] = False
    loads: ClassVar[bool] = True

    def __init__(self, entry: Entry) -> None:
        self._known, self._first = Columns(entry.known), entry.first[:, None]
        self._fixed = entry.discretisation.system.fixed

    def initial(self, m: Array) -> Array:
        """u^0."""
        return np.ascontiguousarray(np.broadcast_to(self._first, (len(self._first), m.shape[-1])))

    def load(self, m: Array) -> Forcing:
        """F^n."""
        return self._known

    def stiffness(self, m: Array) -> Array | None:
        """The entries of K for each lane; None where they are known."""
        return None


class InitialTiles(EntryTiles):
    """u^0 = P m away from the Dirichlet sides."""

    loads = False

    def __init__(self, entry: InitialState) -> None:
        super().__init__(entry)
        self._ahead, self._back = Sparse(entry.to_nodes), Sparse(entry.to_nodes.T)
        held = entry.discretisation.held(0)
        self._held = 0.0 if held is None else held[:, None]

    def initial(self, m: Array) -> Array:
        """P m, with the boundary's values on Dirichlet sides."""
        u = self._ahead.tile(m)
        u[self._fixed] = self._held
        return u

    def change(self, _m: Array, dm: Array) -> Change:
        """P dm, zero on Dirichlet sides."""
        du = self._ahead.tile(dm)
        du[self._fixed] = 0.0
        return Change(initial=du)

    def gather(self, _m: Array, steps: Iterable[AdjointStep]) -> Array:
        """P^T λ^0."""
        *_, last = steps
        return self._back.tile(last.adjoint)


class SourceTiles(EntryTiles):
    """q = q_known + s(t) P m."""

    def __init__(self, entry: SourceField) -> None:
        super().__init__(entry)
        self._profile = entry.profile
        self._ahead, self._back = Sparse(entry.spread), Sparse(entry.spread.T)

    def _own(self, m: Array) -> Forcing:
        spread = self._ahead.tile(m)
        return lambda n: np.asarray(self._profile[n] * spread)

    def load(self, m: Array) -> Forcing:
        """The known load and that of m."""
        return plus(self._known, self._own(m))

    def change(self, _m: Array, dm: Array) -> Change:
        """The load of dm alone."""
        return Change(load=self._own(dm))

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """(∫ P^T v) Σ_n s(t_n) μ^n."""
        total = np.zeros((self._ahead.shape[0], m.shape[-1]))
        for step in steps:
            if step.load_adjoint is not None:
                total += self._profile[step.n] * step.load_adjoint
        return self._back.tile(total)


class FluxTiles(EntryTiles):
    """F^n = F_known^n + g(t_n) ∫ v over one side."""

    def __init__(self, entry: SideFlux) -> None:
        super().__init__(entry)
        self._ahead, self._back = Sparse(entry.in_time), Sparse(entry.in_time.T)
        self._column, self._sum = entry.column[:, None], Dense(entry.column[None])

    def _own(self, m: Array) -> Forcing:
        g = self._ahead.tile(m)
        return lambda n: np.asarray(self._column * g[n])

    def load(self, m: Array) -> Forcing:
        """The known load and that of m."""
        return plus(self._known, self._own(m))

    def change(self, _m: Array, dm: Array) -> Change:
        """The load of dm alone."""
        return Change(load=self._own(dm))

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """T^T (μ^n · ∫ v)_n."""
        values = np.zeros((self._ahead.shape[0], m.shape[-1]))
        for step in steps:
            if step.load_adjoint is not None:
                values[step.n] = self._sum.tile(step.load_adjoint)[0]
        return self._back.tile(values)
