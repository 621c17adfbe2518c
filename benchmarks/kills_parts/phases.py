"""Waiting for a phase of a command, by its files and by what its progress shows."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from .verbs import Verb
from .watched import Watched

LOADING = 1.5
"""Seconds that a command loads for, at least."""


def reached(run: Watched, verb: Verb, phase: str, chance: random.Random) -> bool:
    """Wait for the phase; False where the command ended before, or it cannot be told."""
    if phase == "start":
        return run.wait_for(run.listens) and _rest(run, chance.uniform(0.0, LOADING))
    if phase == "opened":
        return run.wait_for(lambda: _opened(run.folder, verb.out))
    if phase == "write":
        return run.wait_for(lambda: _frozen_at_write(run, verb.out))
    low, high = verb.last_span if phase == "again" else verb.spans[phase]
    at = chance.uniform(low, low + 0.6 * (high - low))
    if high <= 0.0:  # before any chain: rounds of training, told without a fraction of their own
        return run.wait_for(lambda: run.shown) and _rest(run, chance.uniform(0.0, 1.0))
    return run.wait_for(lambda: at <= _fraction(run, verb) < 1.0)


def _fraction(run: Watched, verb: Verb) -> float:
    """What the terminal shows; below a launcher there is none, but a data set has its batches."""
    if not verb.launch:
        return run.fraction
    return len(list(run.folder.glob(f"{verb.out}.run/batch*.json"))) / verb.batches


def _rest(run: Watched, seconds: float) -> bool:
    end = time.monotonic() + seconds
    return run.wait_for(lambda: time.monotonic() >= end)


def _opened(folder: Path, out: str) -> bool:
    return any((folder / name).exists() for name in (f"{out}.run", f".{out}.lock"))


def _frozen_at_write(run: Watched, out: str) -> bool:
    """Whether the output is being written; the command is halted there, for the signal to come."""
    if not _writes(run.folder, out):
        return False
    os.kill(run.process.pid, signal.SIGSTOP)
    time.sleep(0.01)
    if _writes(run.folder, out):
        return True
    os.kill(run.process.pid, signal.SIGCONT)
    return False


def _writes(folder: Path, out: str) -> bool:
    """Whether scratch of the output, or of what goes with it, is there."""
    names = [entry.name for entry in os.scandir(folder)]
    other = (f".{out}.lock", f".{out}.owner", f".{out}.run.")
    return any(n.startswith(f".{out}.") and not n.startswith(other) for n in names)
