"""When a training has to stop by itself: a time limit, or a file STOP in its folder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from pdeinv.errors import ConfigError

__all__ = ["Limits", "seconds_of"]

LOOK = 1.0
"""Seconds between two looks for the file; shared file systems answer slowly."""
RESERVE = 2.0
"""Longest waits between two steps that are kept free for the last step and the checkpoint."""


def seconds_of(text: str) -> float:
    """Seconds of a time as Slurm writes it: ``MM``, ``MM:SS``, ``HH:MM:SS`` or ``D-HH:MM:SS``.

    Raises:
        ConfigError: not such a time.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if not found:
        raise ConfigError(f"--time-limit: expected HH:MM:SS, for example 11:30:00, got '{text}'")
    days, first, second, third = found.groups()
    parts = [int(p) for p in (first, second, third) if p is not None]
    if days is None and len(parts) < 3:
        parts = [0, *parts]  # minutes, or minutes and seconds
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    return 86400.0 * int(days or 0) + 3600.0 * hours + 60.0 * minutes + seconds


class Limits:
    """Asked after every step whether it is time to stop.

    Close to the limit the time of two of the longest waits between questions so far is left for
    the step that is going on and for the checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        end: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``end`` is a time of ``clock``; a file ``STOP`` of an earlier run is removed."""
        self._file, self._clock = folder / "STOP", clock
        self._file.unlink(missing_ok=True)
        self._end = end
        self._last: float | None = None
        self._longest, self._looked = 0.0, clock()

    def reached(self) -> bool:
        """Whether the time is up or the file is there."""
        now = self._clock()
        if self._last is not None:
            self._longest = max(self._longest, now - self._last)
        self._last = now
        if self._end is not None and now + RESERVE * self._longest >= self._end:
            return True
        if now - self._looked < LOOK:
            return False
        self._looked = now
        return self._file.exists()
