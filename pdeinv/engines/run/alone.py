"""When work is worth more processes, which take about as long to start as many a run takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Engine

__all__ = ["SHORT", "Alone", "seconds_left", "surely_long"]

LOOK_SECONDS, PATIENCE = 0.2, 2.0
"""When a run that began alone is first asked how long it takes, and by when it goes on alone only
where it nearly is at its end."""

ROWS, SLOW, SURE = 16, 0.05, 1.0
"""Solves by which the length of a run is told beforehand, at once unless one takes so many seconds;
and seconds of one solve for each step above which a run goes to the workers from its start on."""

STARTING = 5.0
"""Seconds after which chains that still look for their start begin anew in workers."""

SHORT, LONG = 3.0, 20.0
"""Seconds that have to be left after :data:`PATIENCE`, and before, for workers to be started."""


def seconds_left(elapsed: float, share: float) -> float:
    """What is left of work of which a share above zero took so many seconds."""
    return elapsed * (1 - share) / share


@dataclass
class Alone:
    """How long a run goes on in this process before workers take it over.

    Attributes:
        cut: whether it was said to be enough.
        began: when the run began.
    """

    cut: bool = False
    began: float = field(default_factory=time.monotonic)

    def __call__(self, share: float) -> bool:
        """Whether what is left, by the share of a chain's steps that are done, is work for more."""
        elapsed = time.monotonic() - self.began
        if not self.cut and elapsed >= LOOK_SECONDS:
            if share > 0:
                left = seconds_left(elapsed, share)
                self.cut = left >= (LONG if elapsed < PATIENCE else SHORT)
            else:
                self.cut = elapsed >= STARTING
        return self.cut


def surely_long(engine: Engine[Any], posterior: Posterior) -> bool:
    """Whether one solve for each step of each chain, the least there is, is work for workers."""
    steps = engine.n_steps * engine.n_chains
    for rows in (1, min(engine.n_chains, ROWS)):
        began = time.monotonic()
        posterior.predict_rows(np.zeros((rows, posterior.dim)), [Counters() for _ in range(rows)])
        each = (time.monotonic() - began) / rows
        if each >= SLOW:  # not asked for again
            break
    return each * steps >= SURE
