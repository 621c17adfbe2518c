"""The seconds of one chain: its own, and its share of what was answered for several."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

__all__ = ["Clock", "Seconds"]


@dataclass(frozen=True)
class Seconds:
    """Time that was spent: by the clock on the wall, and by processors at work."""

    wall: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Self:
        """Readings whose differences count, of this process."""
        return cls(time.monotonic(), time.process_time())

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, parts: float) -> Seconds:
        return Seconds(self.wall / parts, self.cpu / parts)


class Clock:
    """Counts while its chain runs; what the chain shares with others is added.

    Args:
        spent: what the chain spent before.
    """

    def __init__(self, spent: Seconds | None = None) -> None:
        self._spent = spent or Seconds()
        self._since: Seconds | None = None

    def start(self) -> None:
        """The chain goes on."""
        self._since = Seconds.now()

    def stop(self) -> None:
        """The chain waits, or has ended."""
        self._spent, self._since = self.spent, None

    def add(self, seconds: Seconds) -> None:
        """Its share of a call that was made for several chains."""
        self._spent += seconds

    @property
    def spent(self) -> Seconds:
        """What the chain has spent by now."""
        return self._spent if self._since is None else self._spent + Seconds.now() - self._since

    @property
    def seconds(self) -> float:
        """The same on the wall, which budgets limit."""
        return self.spent.wall
