"""Memory that is used again: fresh pages cost as much as a triangular solve."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable
from weakref import finalize

import numpy as np

from pdeinv.typing import Array

__all__ = ["Spare", "SpareArrays"]


class Spare[T]:
    """Pieces of memory that are lent to objects and come back when those are gone."""

    def __init__(self) -> None:
        self._free = defaultdict[Hashable, list[T]](list)

    def take(self, kind: Hashable, make: Callable[[], T]) -> T:
        """A piece of that kind: one that came back, else a new one."""
        free = self._free[kind]
        return free.pop() if free else make()

    def lend(self, kind: Hashable, piece: T, holder: object) -> None:
        """Take the piece back when nobody holds ``holder`` any more."""
        finalize(holder, self._free[kind].append, piece)


class SpareArrays:
    """Arrays whose memory comes back when they and all views of them are gone."""

    def __init__(self) -> None:
        self._spare = Spare[memoryview]()

    def empty(self, *shape: int) -> Array:
        """An array of that shape with whatever numbers the memory held."""
        size = math.prod(shape)
        memory = self._spare.take(size, lambda: np.empty(size).data)
        # views refer to this array, because its own memory is no array
        numbers = np.frombuffer(memory)
        self._spare.lend(size, memory, numbers)
        return numbers.reshape(shape)
