"""The heat forward model: an unknown to temperatures at sensors, with its derivative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from pdeinv.fem.trajectory import Trajectory, segment_length
from pdeinv.fem.transient import Forcing
from pdeinv.model.forward import Capability, Linearization, ModelKind
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .discrete import HeatDiscretisation
from .entries import Entry
from .sensors import TimeSensors

__all__ = ["HeatModel"]

States = Iterator[tuple[int, Array]]


class HeatModel:
    """G(m) = B u(m) with u the discrete solution in time, up to the last time of a sensor.

    The factor of the operator is kept: one serves all runs where the operator is known, one per m
    elsewhere. Where the operator is unknown, derivatives need the states, which are kept or
    recomputed within the configured memory.

    Args:
        m_space: the space of m.
        d_space: the space of the data.
        entry: how m enters the equation.
        sensors: where and when the data are.

    Attributes:
        discretisation: the equation.
        linear: whether G is affine in m.
    """

    kind: ModelKind = "reference"
    capabilities = frozenset({Capability.JVP, Capability.VJP})

    def __init__(self, m_space: Space, d_space: Space, entry: Entry, sensors: TimeSensors) -> None:
        self.m_space, self.d_space = m_space, d_space
        self.discretisation: HeatDiscretisation = entry.discretisation
        self.linear = entry.linear
        self._entry, self._sensors = entry, sensors
        self._system = entry.discretisation.system
        bound = 1e6 * self.discretisation.config.time.memory_mb
        last = max(1, sensors.last)
        self._segment = (
            segment_length(last, self._system.space.size, bound) if entry.operator else 0
        )
        self._m: Array | None = None
        self._trajectory: Trajectory | None = None

    def _prepare(self, m: Array) -> None:
        """Make the system's operator that of ``m``."""
        if self._m is not None and (not self._entry.operator or np.array_equal(self._m, m)):
            return
        self._m = self._trajectory = None
        self._entry.set_operator(m)
        self._m = m.copy()

    def states(self, m: Array, last: int | None = None) -> States:
        """(n, u^n) from n = 0 on.

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        self._prepare(m)
        first = self._entry.initial(m)
        run = self._system.march([first], self._entry.load(m), self._held, last=last)
        return chain([(0, first)], run)

    @property
    def _held(self) -> Forcing:
        return self.discretisation.held

    def __call__(self, m: Array) -> Array:
        """The data of ``m``, shape (n_d,).

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        m = self.m_space.check(m)
        return self._sensors.data(self.states(m, self._sensors.last))

    def linearize(self, m: Array) -> Linearization:
        """The data with tangent and adjoint actions, which stay valid after calls at other m."""
        m = self.m_space.check(m).copy()
        return Linearization(
            self._value(m),
            lambda dm: self._tangent(m, self.m_space.check(dm)),
            lambda w: self._adjoint(m, self.d_space.check(w)),
        )

    def _value(self, m: Array) -> Array:
        if not self._entry.operator:
            return self(m)
        return self._sensors.data((n, u) for n, u in self._kept(m))

    def _kept(self, m: Array) -> States:
        """All states of ``m``, by the trajectory, which stays for derivatives."""
        trajectory = self._states_of(m)
        for n, now, before in trajectory.forward():
            if n == 1:
                yield 0, before
            yield n, now

    def _states_of(self, m: Array) -> Trajectory:
        self._prepare(m)
        if self._trajectory is None:
            last = max(1, self._sensors.last)

            def restart(past: Sequence[Array], first: int, end: int) -> States:
                load = self._entry.load(m)
                return self._system.march(past, load, self._held, first=first, last=end)

            self._trajectory = Trajectory(self.states(m, last), last, self._segment, restart)
        return self._trajectory

    def _tangent(self, m: Array, dm: Array) -> Array:
        self._prepare(m)
        system, change = self._system, self._entry.change(m, dm)
        extra: Forcing | None = None
        if change.stiffness is not None:
            walk = self._states_of(m).forward()

            def extra(n: int) -> Array:
                _, now, before = next(walk)
                return np.asarray(-(change.stiffness @ system.average(n, now, before)))

        zero = np.zeros(system.space.size)
        first = zero if change.initial is None else change.initial
        run = system.march([first], change.load, extra=extra, last=self._sensors.last)
        return self._sensors.data(chain([(0, first)], run))

    def _adjoint(self, m: Array, w: Array) -> Array:
        self._prepare(m)
        system, gatherer = self._system, self._entry.gather(m)
        walk = self._states_of(m).backward() if self._entry.operator else None
        last = max(1, self._sensors.last) if walk is not None else self._sensors.last
        source = self._sensors.source(w)
        for n, adjoint, loads in system.adjoint(source, last, loads=self._entry.loads):
            average = None
            if walk is not None and n > 0:
                _, now, before = next(walk)
                average = system.average(n, now, before)
            gatherer.add(n, adjoint, loads, average)
        return gatherer.result()
