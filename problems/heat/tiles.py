"""The heat model for a tile of unknowns: one run in time for all its lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from pdeinv.errors import ConfigError
from pdeinv.fem.compiled import CompiledSystem
from pdeinv.fem.marching import Forcing
from pdeinv.fem.marching_tiles import Columns, OwnOperators, SharedOperator
from pdeinv.fem.tiled import KEPT_BYTES
from pdeinv.fem.trajectory import kept_states, segment_length
from pdeinv.kernels.spare import SpareArrays
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.tiles import Part, lanes
from pdeinv.typing import Array

from .coefficients import Conductivity, HeatTransfer
from .entries import Entry, InitialState, SideFlux, SourceField
from .entry_tiles import FluxTiles, InitialTiles, SourceTiles
from .operator_tiles import ConductivityTiles, TransferTiles
from .run import Run
from .sensors import TimeSensors

if TYPE_CHECKING:
    from .model import HeatModel

__all__ = ["HeatTiles", "heat_tiles"]


class SensorTiles:
    """Sensors of a tile of runs.

    Args:
        one: those of one run.
    """

    def __init__(self, one: TimeSensors) -> None:
        self._one, self.last = one, one.last
        self._rows = {int(n): k for k, n in enumerate(one.levels)}
        self._ahead, self._back = Sparse(one.evaluation), Sparse(one.evaluation.T)
        places, n = one.evaluation.shape[0], len(one.place)
        part = sparse.csr_array((1 - one.part, (one.low * places + one.place, np.arange(n))),
                                (len(one.levels) * places, n))  # fmt: skip
        part += sparse.csr_array((one.part, (one.high * places + one.place, np.arange(n))),
                                 part.shape)  # fmt: skip
        self._in_time, self._spread = Sparse(part.T), Sparse(part)

    def data(self, states: Any) -> Array:
        """The data (n_d, width) of runs, an iterable of (n, u^n) up to the last level read."""
        table: dict[int, Array] = {}
        for n, u in states:
            if n in self._rows:
                table[self._rows[n]] = self._ahead.tile(u)
        return self._in_time.tile(np.concatenate([table[k] for k in range(len(table))]))

    def source(self, w: Array) -> Forcing:
        """The adjoint: w (n_d, width) to n ↦ ∂(w·d)/∂u^n."""
        table = self._spread.tile(w).reshape(len(self._rows), -1, w.shape[-1])

        def forcing(n: int) -> Array | None:
            return self._back.tile(table[self._rows[n]]) if n in self._rows else None

        return forcing


@dataclass(frozen=True)
class State:
    """Runs of a tile of unknowns m (n_m, width)."""

    m: Array
    run: Run


class HeatTiles:
    """The model for a tile of unknowns (n_m, width).

    Args:
        model: of one unknown.
        entry: how m enters.
        operators: one for all lanes, or one for each.
        segment: steps between states that are kept.
    """

    def __init__(
        self,
        model: HeatModel,
        entry: Any,
        operators: SharedOperator | OwnOperators,
        segment: int,
    ) -> None:
        self._model, self._entry, self._operators = model, entry, operators
        self._sensors = SensorTiles(model.sensors)
        self._held, self._segment = Columns(model.discretisation.held), segment
        self._spare = SpareArrays()

    def check(self, m: Array) -> None:
        """Refuse one m that is out of range."""
        self._model.check(m)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        return self._operators.parts(rows)

    def bytes(self, width: int) -> int:
        """Factors and states of a tile, as a part of what may be kept."""
        states = kept_states(max(1, self._sensors.last), self._segment) if self._segment else 0
        d = self._model.discretisation
        found = self._operators.bytes(width) + 8 * d.space.size * states * width
        # where the user's bound is another one, all tiles together keep to it
        return int(found * KEPT_BYTES / (1e6 * d.config.time.memory_mb))

    def solved(self, m: Array) -> State:
        """The runs, which march when they are asked for."""
        m, entry = m.copy(), self._entry
        marching = self._operators.marching(entry.stiffness(m))
        return State(m, Run(entry, marching, self._sensors, self._held, self._segment, self._spare))

    def data(self, state: State, *, again: bool) -> Array:
        """B u; for derivatives the states are kept where all of them fit."""
        return state.run.data(state.m, again=again and self._segment >= self._sensors.last)

    def tangent(self, state: State, dm: Array) -> Array:
        """B du."""
        return state.run.tangent(state.m, dm)

    def adjoint(self, state: State, w: Array) -> Array:
        """The gradient of w·G(m)."""
        return state.run.adjoint(state.m, w)


def heat_tiles(model: HeatModel) -> HeatTiles | None:
    """The model for tiles; None where the kernels do not solve, or rows do not pay."""
    system, entry = model.discretisation.system, model.entry
    if not isinstance(system.main.solver, CompiledSystem):
        return None
    if entry.operator:
        return _of_operators(model, OwnOperators(system))
    tiles = _loads_of(entry)
    if tiles is None:
        return None
    entry.set_operator(np.zeros(model.m_space.size))
    return HeatTiles(model, tiles, SharedOperator(system), 0)


def _of_operators(model: HeatModel, operators: OwnOperators) -> HeatTiles | None:
    d, entry = model.discretisation, model.entry
    last = max(1, model.sensors.last)
    try:
        bound = 1e6 * d.config.time.memory_mb
        segment = segment_length(last, d.space.size * lanes(), bound)
    except ConfigError:
        return None
    if isinstance(entry, HeatTransfer):
        return HeatTiles(model, TransferTiles(entry, operators), operators, segment)
    assert isinstance(entry, Conductivity)
    return HeatTiles(model, ConductivityTiles(entry, operators), operators, segment)


def _loads_of(entry: Entry) -> InitialTiles | SourceTiles | FluxTiles | None:
    match entry:
        case InitialState():
            return InitialTiles(entry)
        case SourceField():
            return SourceTiles(entry)
        case SideFlux():
            return FluxTiles(entry)
    return None
