"""The seconds of one chain: its own, and its share of what was answered for several."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Counts while its chain runs; what the chain shares with others is added.

    Args:
        seconds: what the chain spent before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._spent = seconds
        self._since: float | None = None

    def start(self) -> None:
        """The chain goes on."""
        self._since = time.monotonic()

    def stop(self) -> None:
        """The chain waits, or has ended."""
        self._spent, self._since = self.seconds, None

    def add(self, seconds: float) -> None:
        """Its share of a call that was made for several chains."""
        self._spent += seconds

    @property
    def seconds(self) -> float:
        """What the chain has spent by now."""
        return self._spent + (0.0 if self._since is None else time.monotonic() - self._since)
