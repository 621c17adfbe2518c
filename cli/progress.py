"""How far a run is: bars on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.engines.run.spec import Progress as Report

__all__ = ["HEARTBEAT", "Heartbeat", "chain_progress", "step_progress"]

HEARTBEAT = 60.0
"""Seconds between two lines where there is no terminal."""
REFRESH = 0.1


class Heartbeat:
    """Says now and then, in one line, how far each chain is; a long job's log is not silent."""

    def __init__(self, say: Callable[[str], None], label: str, every: float = HEARTBEAT) -> None:
        self._say, self._label, self._every = say, label, every
        self._begin = self._last = time.monotonic()
        self._chains: dict[int, tuple[int, int, str]] = {}

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        """Remember one chain's position; speak when it is time."""
        now = time.monotonic()
        self._chains[chain] = (step, n_steps, note)
        if chain >= 0:
            self._chains.pop(-1, None)
        if now - self._last < self._every:
            return
        self._last = now
        state = "; ".join(
            f"{_label(k)} {i}/{n} {text}".strip()
            for k, (i, n, text) in sorted(self._chains.items())
        )
        self._say(f"{self._label} {_clock(now - self._begin)}: {state}")


class _Bars:
    """One bar per chain, made when the chain is first heard of."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[int, TaskID] = {}
        self._last: dict[int, float] = {}

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        now = time.monotonic()
        if now - self._last.get(chain, 0.0) < REFRESH and step < n_steps:
            return
        self._last[chain] = now
        if chain not in self._tasks:
            self._tasks[chain] = self._progress.add_task(_label(chain), total=n_steps, note="")
        self._progress.update(self._tasks[chain], completed=step, total=n_steps, note=note)


def _silent(chain: int, step: int, n_steps: int, note: str) -> None:
    """Say nothing."""


def _label(chain: int) -> str:
    return "training" if chain < 0 else f"chain {chain}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


@contextmanager
def chain_progress(terminal: Terminal, label: str) -> Iterator[Report]:
    """The progress of an engine run, shown as fits the terminal."""
    console = terminal.error_console()
    if terminal.quiet:
        yield _silent
    elif not console.is_terminal:
        yield Heartbeat(terminal.note, label)
    else:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bars(progress)


@contextmanager
def step_progress(terminal: Terminal, label: str) -> Iterator[Callable[[int, int, str], None]]:
    """The progress of one sequence of steps: (done, total, note)."""
    with chain_progress(terminal, label) as report:

        def step(done: int, total: int, note: str = "") -> None:
            report(0, done, total, note)

        yield step
