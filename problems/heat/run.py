"""A run in time with its tangent and adjoint, for one unknown or for a tile of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Protocol

import numpy as np

from pdeinv.fem.marching import Forcing, Marching
from pdeinv.fem.trajectory import Trajectory
from pdeinv.kernels.spare import SpareArrays
from pdeinv.typing import Array

from .entries import AdjointStep, Change

__all__ = ["Run", "States"]

States = Iterator[tuple[int, Array]]


class _Entry(Protocol):
    """How m enters the equation; see :class:`problems.heat.entries.Entry`."""

    operator: ClassVar[bool]
    loads: ClassVar[bool]

    def initial(self, m: Array) -> Array: ...

    def load(self, m: Array) -> Forcing: ...

    def change(self, m: Array, dm: Array) -> Change: ...

    def gather(self, m: Array, steps: Iterator[AdjointStep]) -> Array: ...


class _Sensors(Protocol):
    """Data of states and the adjoint of those; see :class:`problems.heat.sensors.TimeSensors`."""

    @property
    def last(self) -> int: ...

    def data(self, states: Any) -> Array: ...

    def source(self, w: Array) -> Any: ...


class Run:
    """The solution in time, up to the last time of a sensor.

    Args:
        entry: how m enters.
        system: the steps, with the operator of m.
        sensors: where and when the data are.
        held: u on the fixed degrees of freedom.
        segment: steps between states that are kept.
        spare: lends memory for those.
    """

    def __init__(
        self,
        entry: _Entry,
        system: Marching,
        sensors: _Sensors,
        held: Forcing,
        segment: int,
        spare: SpareArrays,
    ) -> None:
        self._entry, self._system, self._sensors = entry, system, sensors
        self._held, self._segment, self._spare = held, segment, spare
        self._trajectory: tuple[Trajectory, Array] | None = None

    def forget(self) -> None:
        """The operator has changed: the states are those of another m."""
        self._trajectory = None

    def states(self, m: Array, last: int | None = None) -> States:
        """(n, u^n) from n = 0 on."""
        first = self._entry.initial(m)
        run = self._system.march([first], self._entry.load(m), self._held, last=last)
        return chain([(0, first)], run)

    def data(self, m: Array, *, again: bool) -> Array:
        """B u; the states are kept where derivatives ask for them."""
        if again and self._entry.operator:
            return np.array(self._states_of(m)[1])
        return self._sensors.data(self.states(m, self._sensors.last))

    def _states_of(self, m: Array) -> tuple[Trajectory, Array]:
        """The states of ``m`` and the data, which are taken from the same run."""
        if self._trajectory is None:
            last = max(1, self._sensors.last)
            entry, system, held = self._entry, self._system, self._held

            # without the run itself, which would hold on to the states until a garbage collection
            def restart(past: Sequence[Array], first: int, end: int) -> States:
                return system.march(past, entry.load(m), held, first=first, last=end)

            walked = Trajectory(last, self._segment, restart, self._spare)
            self._trajectory = walked, self._sensors.data(walked.recorded(self.states(m, last)))
        return self._trajectory

    def tangent(self, m: Array, dm: Array) -> Array:
        """B du, by one run of the linearised equation."""
        system, change = self._system, self._entry.change(m, dm)
        extra: Forcing | None = None
        if change.stiffness is not None:
            walk = self._states_of(m)[0].forward()

            def extra(n: int) -> Array:
                _, now, before = next(walk)
                return np.asarray(-(change.stiffness @ system.average(n, now, before)))

        first = system.zeros() if change.initial is None else change.initial
        run = system.march([first], change.load, extra=extra, last=self._sensors.last)
        return self._sensors.data(chain([(0, first)], run))

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        return self._entry.gather(m, self._backward(m, w))

    def _backward(self, m: Array, w: Array) -> Iterator[AdjointStep]:
        system = self._system
        walk = self._states_of(m)[0].backward() if self._entry.operator else None
        last = max(1, self._sensors.last) if walk is not None else self._sensors.last
        source = self._sensors.source(w)
        for n, adjoint, loads in system.adjoint(source, last, loads=self._entry.loads):
            average = None
            if walk is not None and n > 0:
                _, now, before = next(walk)
                average = system.average(n, now, before)
            yield AdjointStep(n, adjoint, loads, average)
