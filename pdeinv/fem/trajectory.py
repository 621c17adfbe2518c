"""The states of a run in time, kept or recomputed from uniform checkpoints within a memory bound.

Reference: Griewank, Walther (2008), ch. 12; with a bound that holds two levels of states, one
recomputation of each segment is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pdeinv.errors import ConfigError
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

    Args:
        steps: the number of time steps.
        size: numbers of one state.
        bound: bytes.

    Raises:
        ConfigError: not even checkpoints fit.
    """
    if 8 * size * (steps + 1) <= bound:
        return steps
    best = min(range(1, steps + 1), key=lambda s: kept_states(steps, s))
    need = 8 * size * kept_states(steps, best)
    if need > bound:
        raise ConfigError(
            f"memory_mb: {bound / 1e6:g} MB cannot hold the checkpoints of {steps} steps with "
            f"{size} unknowns; give at least {math.ceil(need / 1e5) / 10:g} MB, or fewer steps"
        )
    return best


class Trajectory:
    """u^0 ... u^last of one run.

    Args:
        states: the run, from level 0 on; it is consumed here.
        last: its last level.
        segment: steps between checkpoints; ``last`` or more keeps every state.
        restart: runs again from a checkpoint.
    """

    def __init__(
        self, states: Iterator[tuple[int, Array]], last: int, segment: int, restart: Restart
    ) -> None:
        self.last, self._segment, self._restart = last, max(1, segment), restart
        self._whole: Array | None = None
        self._marks: list[list[Array]] = []
        if segment >= last:
            self._keep_all(states)
        else:
            self._keep_marks(states)

    def _keep_all(self, states: Iterator[tuple[int, Array]]) -> None:
        for n, u in states:
            if self._whole is None:
                self._whole = np.empty((self.last + 1, *u.shape))
            self._whole[n] = u

    def _keep_marks(self, states: Iterator[tuple[int, Array]]) -> None:
        before: Array | None = None
        for n, u in states:
            if n % self._segment == 0:
                self._marks.append([u] if before is None else [u, before])
            before = u

    def _part(self, k: int) -> Array:
        """The states of segment ``k``, both ends included."""
        low = k * self._segment
        high = min(low + self._segment, self.last)
        if self._whole is not None:
            return self._whole[low : high + 1]
        past = self._marks[k]
        part = np.empty((high - low + 1, *past[0].shape))
        part[0] = past[0]
        for n, u in self._restart(past, low + 1, high):
            part[n - low] = u
        return part

    def _parts(self) -> range:
        return range(math.ceil(self.last / self._segment))

    def forward(self) -> Iterator[tuple[int, Array, Array]]:
        """(n, u^n, u^(n-1)) for n = 1 ... last."""
        for k in self._parts():
            part = self._part(k)
            for i in range(1, len(part)):
                yield k * self._segment + i, part[i], part[i - 1]

    def backward(self) -> Iterator[tuple[int, Array, Array]]:
        """The same for n = last ... 1."""
        for k in reversed(self._parts()):
            part = self._part(k)
            for i in range(len(part) - 1, 0, -1):
                yield k * self._segment + i, part[i], part[i - 1]
