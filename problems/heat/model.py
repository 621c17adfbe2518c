"""The heat forward model: an unknown to temperatures at sensors, with its derivative."""

from __future__ import annotations

from pdeinv.fem.tiled import TiledModel
from pdeinv.fem.trajectory import segment_length
from pdeinv.kernels.spare import SpareArrays
from pdeinv.model.reference import check_finite
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .discrete import HeatDiscretisation
from .entries import Entry
from .run import Run, States
from .sensors import TimeSensors
from .tiles import HeatTiles, heat_tiles

__all__ = ["HeatModel"]


class HeatModel(TiledModel):
    """G(m) = B u(m) with u the discrete solution in time, up to the last time of a sensor.

    The factor of the operator is kept: one serves all runs where the operator is known, one per m
    elsewhere. Where the operator is unknown, derivatives need the states, which are kept or
    recomputed within the configured memory.

    Rows of unknowns are solved by tiles: as right-hand sides of one factor where the operator is
    known, else with a factor for each. None are offered of point sources, whose loads take most of
    a run.

    Args:
        spaces: of m and of the data.
        entry: how m enters the equation.
        sensors: where and when the data are.

    Attributes:
        discretisation: the equation.
        entry, sensors: as given.
        linear: whether G is affine in m.
    """

    def __init__(self, spaces: tuple[Space, Space], entry: Entry, sensors: TimeSensors) -> None:
        super().__init__(*spaces)
        self.discretisation: HeatDiscretisation = entry.discretisation
        self.linear = entry.linear
        self.entry, self.sensors = entry, sensors
        self._system = entry.discretisation.system
        bound = 1e6 * self.discretisation.config.time.memory_mb
        last = max(1, sensors.last)
        self._segment = (
            segment_length(last, self._system.space.size, bound) if entry.operator else 0
        )
        held = self.discretisation.held
        self._run = Run(entry, self._system, sensors, held, self._segment, SpareArrays())

    def tiles(self) -> HeatTiles | None:
        """The same for tiles, where the compiled kernels solve and rows pay."""
        return heat_tiles(self)

    def check(self, m: Array) -> None:
        """Refuse an m that is out of range.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_finite(m)
        self.entry.check(m)

    def kept(self, m: Array) -> bool:
        """Whether the operator is that of ``m``."""
        if self.entry.operator or self._m is None:
            return super().kept(m)
        check_finite(m)
        return True

    def solved(self, m: Array) -> None:
        """Make the system's operator that of ``m``; states are marched when they are asked for."""
        self._run.forget()
        self.entry.set_operator(m)

    def states(self, m: Array, last: int | None = None) -> States:
        """(n, u^n) from n = 0 on.

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        self.state(m)
        return self._run.states(m, last)

    def data(self, m: Array, *, again: bool) -> Array:
        """B u; the states are kept where derivatives ask for them."""
        self.state(m)
        return self._run.data(m, again=again)

    def tangent(self, m: Array, dm: Array) -> Array:
        """B du, by one run of the linearised equation."""
        self.state(m)
        return self._run.tangent(m, dm)

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        self.state(m)
        return self._run.adjoint(m, w)
