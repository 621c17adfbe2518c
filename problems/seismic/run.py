"""A run of all shots in time with its tangent and adjoint, which are those of the scheme itself.

The states that the adjoint needs are kept where they fit into the bound on memory, else the two
states at which each of equal parts of the run begins, and a part is run again when it is needed
(Griewank and Walther 2008, ch. 12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.kernels.spare import SpareArrays
from pdeinv.kernels.waves import Leapfrog, Series, Taps
from pdeinv.typing import Array

from .scheme import Step

__all__ = ["Ends", "Run"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ends:
    """What goes into a run and comes out of it.

    Attributes:
        sources: where the wavelet goes in.
        receivers: where traces come out.
        taken: for each step, the row of the traces that it ends at, or −1.
        samples: rows of the traces.
        shots: columns of a state.
    """

    sources: Taps
    receivers: Taps
    taken: Ints
    samples: int
    shots: int

    @property
    def steps(self) -> int:
        """Of the run."""
        return len(self.taken)

    def traces(self) -> Series:
        """Room for the traces of a run."""
        return Series(self.taken, np.zeros((max(1, self.samples), self.receivers.series)))


@dataclass
class Run:
    """The waves of one medium and wavelet, from rest.

    Attributes:
        step: the coefficients of a step.
        ends: what goes in and out.
        wavelet: what goes in at each step, shape (steps,).
        segment: steps between states that are kept; all of them or more keeps every state. Asked
            where an adjoint needs states, and may refuse by ConfigError.
        spare: lends memory for those.
    """

    step: Step
    ends: Ends
    wavelet: Array
    segment: Callable[[], int]
    spare: SpareArrays
    _kept: tuple[Array, list[Array]] | None = field(default=None, init=False)
    _at: int = field(default=-1, init=False)
    _traces: Array | None = field(default=None, init=False)

    @cached_property
    def _forward(self) -> Leapfrog:
        step, ends = self.step, self.ends
        given = ends.sources.scaled(step.scale)
        return Leapfrog(step.matrix, step.past, ends.shots, given, ends.receivers)

    @cached_property
    def _backward(self) -> Leapfrog:
        step, ends = self.step, self.ends
        given = ends.receivers.scaled(step.scale)
        return Leapfrog(step.matrix, step.past, ends.shots, given, ends.sources)

    def _given(self, low: int, high: int) -> Series:
        return Series(np.arange(high - low), self.wavelet[low:high, None].copy())

    def traces(self, *, again: bool) -> Array:
        """The traces (samples, traces); states are kept where an adjoint will ask for them."""
        if again:
            return self._recorded()
        taken, steps = self.ends.traces(), self.ends.steps
        self._forward.march(np.zeros((2, *self._forward.shape)), 0, self._given(0, steps), taken)
        return taken.values

    def states(self, wanted: Ints) -> Array:
        """u at some levels, increasing, shape (levels, n, shots)."""
        found = np.zeros((len(wanted), *self._forward.shape))
        states, before = np.zeros((2, *self._forward.shape)), 0
        for k, level in enumerate(wanted):
            nothing = Series.nothing(int(level) - before)
            self._forward.march(states, before, self._given(before, int(level)), nothing)
            found[k], before = states[(int(level) + 1) % 2], int(level)
        return found

    @cached_property
    def _parts(self) -> list[tuple[int, int]]:
        steps, length = self.ends.steps, self.segment()
        return [(low, min(low + length, steps)) for low in range(0, steps, length)]

    def _recorded(self) -> Array:
        """The traces, of a run whose states are kept or marked."""
        if self._traces is None:
            taken, parts = self.ends.traces(), self._parts
            longest = max(high - low for low, high in parts)
            states = self.spare.empty(longest + 2, *self._forward.shape)
            states[:2] = 0.0
            marks: list[Array] = []
            for low, high in parts:
                marks.append(states[:2].copy() if len(parts) > 1 else states[:2])
                self._march(states, low, high, taken)
                if high < self.ends.steps:
                    states[:2] = states[high - low : high - low + 2]
            self._kept, self._at, self._traces = (states, marks), len(parts) - 1, taken.values
        return self._traces.copy()

    def _march(self, states: Array, low: int, high: int, taken: Series | None = None) -> None:
        rows = None if taken is None else Series(taken.row[low:high], taken.values)
        self._forward.march(states, 0, self._given(low, high), rows or Series.nothing(high - low))

    def _part(self, k: int, low: int, high: int) -> Array:
        """The states of one part, with one before its first step and one after its last."""
        self._recorded()
        assert self._kept is not None
        states, marks = self._kept
        if k != self._at:
            self._at = -1  # until all of it is there
            states[:2] = marks[k]
            self._march(states, low, high)
            self._at = k
        return states[: high - low + 2]

    def tangent(self, change: tuple[Array, Array], wavelet: Array) -> Array:
        """The change of the traces with those of a and c and of the wavelet."""
        taken, steps = self.ends.traces(), self.ends.steps
        more = Series(np.arange(steps), np.ascontiguousarray(wavelet[:, None]))
        ends = (self._given(0, steps), more, taken)
        self._forward.change((self.step.scale, *change), ends)
        return taken.values

    def adjoint(self, table: Array) -> tuple[Array, Array, Array]:
        """The gradient of a sum of traces with weights (samples, traces), by a run backwards.

        Returns:
            By a and by c, each of shape (n,), and by the wavelet, shape (steps,).
        """
        n, steps = self._forward.shape[0], self.ends.steps
        on_a, on_c, on_wavelet = np.zeros(n), np.zeros(n), np.zeros(steps)
        states = np.zeros((2, *self._forward.shape))
        for k, (low, high) in reversed(list(enumerate(self._parts))):
            part, own = self._part(k, low, high), high - low
            given = Series(self.ends.taken[low:high][::-1], table)
            taken = Series(np.arange(own)[::-1], np.zeros((own, 1)))
            more = self._backward.back(states, (steps - high) % 2, part, (given, taken))
            on_a += more[0]
            on_c += more[1]
            on_wavelet[low:high] = taken.values[:, 0]
        return on_a, on_c, on_wavelet
