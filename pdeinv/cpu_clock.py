"""How fine the clock of CPU time is. Under a limit (``ulimit -t``) it may move with the timer
alone, every few milliseconds.
"""

from __future__ import annotations

import time
from functools import cache
from statistics import median

__all__ = ["measurable", "tick"]

ENOUGH = 10
"""Steps of the clock that a time has to span, so that it is told to a tenth."""


@cache
def tick() -> float:
    """CPU seconds by which the clock of this process moves on."""
    return median(_step() for _ in range(5))


def _step() -> float:
    """One step, waited for."""
    begun = time.process_time()
    while (now := time.process_time()) == begun:
        pass
    return now - begun


def measurable(seconds: float) -> bool:
    """Whether so much CPU time can be told by this clock."""
    return seconds >= ENOUGH * tick()
