"""Memory that is used again: fresh pages cost as much as a triangular solve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from weakref import finalize

__all__ = ["Spare"]


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
