"""The heat forward model: an unknown to temperatures at sensors, with its derivative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from pdeinv.fem.trajectory import Trajectory, segment_length
from pdeinv.fem.transient import Forcing
from pdeinv.model.reference import ReferenceModel, check_finite
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .discrete import HeatDiscretisation
from .entries import AdjointStep, Entry
from .sensors import TimeSensors

__all__ = ["HeatModel"]

States = Iterator[tuple[int, Array]]


class HeatModel(ReferenceModel):
    """G(m) = B u(m) with u the discrete solution in time, up to the last time of a sensor.

    The factor of the operator is kept: one serves all runs where the operator is known, one per m
    elsewhere. Where the operator is unknown, derivatives need the states, which are kept or
    recomputed within the configured memory.

    Args:
        spaces: of m and of the data.
        entry: how m enters the equation.
        sensors: where and when the data are.

    Attributes:
        discretisation: the equation.
        linear: whether G is affine in m.
    """

    def __init__(self, spaces: tuple[Space, Space], entry: Entry, sensors: TimeSensors) -> None:
        super().__init__(*spaces)
        self.discretisation: HeatDiscretisation = entry.discretisation
        self.linear = entry.linear
        self._entry, self._sensors = entry, sensors
        self._system = entry.discretisation.system
        bound = 1e6 * self.discretisation.config.time.memory_mb
        last = max(1, sensors.last)
        self._segment = (
            segment_length(last, self._system.space.size, bound) if entry.operator else 0
        )
        self._trajectory: tuple[Trajectory, Array] | None = None

    def kept(self, m: Array) -> bool:
        """Whether the operator is that of ``m``."""
        if self._entry.operator or self._m is None:
            return super().kept(m)
        check_finite(m)
        return True

    def solved(self, m: Array) -> None:
        """Make the system's operator that of ``m``; states are marched when they are asked for."""
        self._trajectory = None
        self._entry.set_operator(m)

    def states(self, m: Array, last: int | None = None) -> States:
        """(n, u^n) from n = 0 on.

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        self.state(m)
        first = self._entry.initial(m)
        run = self._system.march([first], self._entry.load(m), self._held, last=last)
        return chain([(0, first)], run)

    @property
    def _held(self) -> Forcing:
        return self.discretisation.held

    def data(self, m: Array, *, again: bool) -> Array:
        """B u; the states are kept where derivatives ask for them."""
        if again and self._entry.operator:
            return self._states_of(m)[1].copy()
        return self._sensors.data(self.states(m, self._sensors.last))

    def _states_of(self, m: Array) -> tuple[Trajectory, Array]:
        """The states of ``m`` and the data, which are taken from the same run."""
        self.state(m)
        if self._trajectory is None:
            last = max(1, self._sensors.last)

            def restart(past: Sequence[Array], first: int, end: int) -> States:
                load = self._entry.load(m)
                return self._system.march(past, load, self._held, first=first, last=end)

            walked = Trajectory(last, self._segment, restart)
            self._trajectory = walked, self._sensors.data(walked.recorded(self.states(m, last)))
        return self._trajectory

    def tangent(self, m: Array, dm: Array) -> Array:
        """B du, by one run of the linearised equation."""
        self.state(m)
        system, change = self._system, self._entry.change(m, dm)
        extra: Forcing | None = None
        if change.stiffness is not None:
            walk = self._states_of(m)[0].forward()

            def extra(n: int) -> Array:
                _, now, before = next(walk)
                return np.asarray(-(change.stiffness @ system.average(n, now, before)))

        zero = np.zeros(system.space.size)
        first = zero if change.initial is None else change.initial
        run = system.march([first], change.load, extra=extra, last=self._sensors.last)
        return self._sensors.data(chain([(0, first)], run))

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        self.state(m)
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
