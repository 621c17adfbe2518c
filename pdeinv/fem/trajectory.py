"""The states of a run in time, kept or recomputed from uniform checkpoints within a memory bound.

With a bound that holds two levels of states, one recomputation of each segment but the last is
enough for a walk backwards.

Reference: Griewank, Walther (2008), ch. 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.kernels.spare import SpareArrays
from pdeinv.typing import Array

__all__ = ["Trajectory", "kept_states", "segment_length"]

Restart = Callable[[Sequence[Array], int, int], Iterator[tuple[int, Array]]]
"""Past states, first and last level to the levels and states between them."""


def kept_states(steps: int, segment: int) -> int:
    """How many states are in memory at once with segments of that many steps."""
    if segment >= steps:
        return steps + 1
    return 2 * math.ceil(steps / segment) + segment + 1


def segment_length(steps: int, size: int, bound: float) -> int:
    """Steps between checkpoints: all steps where every state fits into ``bound`` bytes.

    Else those of the fewest parts of equal length that fit: a walk backwards runs every part but
    the last again, so that two parts cost half a run and many nearly a whole one.

    Args:
        steps: the number of time steps.
        size: numbers of one state.
        bound: bytes.

    Raises:
        ConfigError: not even checkpoints fit.
    """
    if 8 * size * (steps + 1) <= bound:
        return steps
    # the least memory is that of about √(steps/2) parts
    lengths = [math.ceil(steps / parts) for parts in range(2, math.isqrt(steps) + 3)]
    needs = [8 * size * kept_states(steps, length) for length in lengths]
    for length, need in zip(lengths, needs, strict=True):
        if need <= bound:
            return length
    need = min(needs)
    raise ConfigError(
        f"memory_mb: {bound / 1e6:g} MB cannot hold the checkpoints of {steps} steps with "
        f"{size} unknowns; give at least {math.ceil(need / 1e5) / 10:g} MB, or fewer steps"
    )


class Trajectory:
    """u^0 ... u^last of one run.

    Without room for every state, checkpoints are kept and the segment that was looked at last:
    after the run and after a walk forward that is the one at which a walk backward begins, and the
    reverse.

    Args:
        last: the last level of the run.
        segment: steps between checkpoints; ``last`` or more keeps every state.
        restart: runs again from a checkpoint.
        spare: lends memory for states.
    """

    def __init__(self, last: int, segment: int, restart: Restart, spare: SpareArrays) -> None:
        self.last, self._restart, self._spare = last, restart, spare
        self._segment = min(max(1, segment), last)
        self._marks: list[list[Array]] = []
        self._at, self._held = -1, np.zeros((0, 0))

    def recorded(self, states: Iterator[tuple[int, Array]]) -> Iterator[tuple[int, Array]]:
        """The run, from level 0 on, as it is; what is to be kept of it is taken on the way."""
        before: Array | None = None
        for n, u in states:
            if n % self._segment == 0 and n < self.last:
                self._marks.append([u] if before is None else [u, before])
                self._open(n // self._segment, u)
            if n > 0:
                self._held[n - self._at * self._segment] = u
            yield n, u
            before = u

    def _open(self, k: int, first: Array) -> None:
        """Make room for the states of segment ``k``; those of another are let go before."""
        low, high = self._ends(k)
        self._at, self._held = -1, np.zeros((0, 0))
        self._at, self._held = k, self._spare.empty(high - low + 1, *first.shape)
        self._held[0] = first

    def _ends(self, k: int) -> tuple[int, int]:
        low = k * self._segment
        return low, min(low + self._segment, self.last)

    def _part(self, k: int) -> Array:
        """The states of segment ``k``, both ends included."""
        if k != self._at:
            low, high = self._ends(k)
            past = self._marks[k]
            self._open(k, past[0])
            self._at = -1  # until all of it is there
            for n, u in self._restart(past, low + 1, high):
                self._held[n - low] = u
            self._at = k
        return self._held

    def _parts(self) -> range:
        return range(math.ceil(self.last / self._segment))

    def forward(self) -> Iterator[tuple[int, Array, Array]]:
        """(n, u^n, u^(n-1)) for n = 1 ... last."""
        for k in self._parts():
            yield from self._walk(k, 1)

    def backward(self) -> Iterator[tuple[int, Array, Array]]:
        """The same for n = last ... 1."""
        for k in reversed(self._parts()):
            yield from self._walk(k, -1)

    def _walk(self, k: int, direction: int) -> Iterator[tuple[int, Array, Array]]:
        """Through one segment; a function of its own, so that its states are let go afterwards."""
        part = self._part(k)
        for i in range(1, len(part))[::direction]:
            yield k * self._segment + i, part[i], part[i - 1]
