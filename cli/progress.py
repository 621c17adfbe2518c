"""How far a run is: bars, or a live table of a training, on a terminal; else one line a minute."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.engines.progress import Progress as Report
    from pdeinv.plugins.fitting import EpochRow

__all__ = [
    "HEARTBEAT",
    "Heartbeat",
    "TrainingView",
    "chain_progress",
    "step_progress",
    "training_view",
]

HEARTBEAT = 60.0
"""Seconds between two lines where there is no terminal."""
REFRESH, REDRAW = 0.1, 0.2
"""Seconds between two drawings of a bar, and of the table."""


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


def _label(chain: int) -> str:
    return "training" if chain < 0 else f"chain {chain}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


@contextmanager
def chain_progress(terminal: Terminal, label: str) -> Iterator[Report]:
    """The progress of an engine run, shown as fits the terminal."""
    from pdeinv.engines.progress import silent

    console = terminal.error_console()
    if terminal.quiet:
        yield silent
    elif not console.is_terminal:
        yield Heartbeat(terminal.note, label)
    else:
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
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


SHOWN = 8
"""Epochs that the table holds."""
COLUMNS = (
    "epoch", "loss", "validation", "rel. error", "rate", "samples/s", "waiting",
)  # fmt: skip


class TrainingView:
    """Hears what a training tells and says it in one way or another."""

    def __init__(self, say: Callable[[int, int, str], None], live: Live | None = None) -> None:
        self._say, self._live = say, live
        self._rows: deque[EpochRow] = deque(maxlen=SHOWN)
        self._done, self._total, self._note = 0.0, 1, ""
        self._drawn = 0.0

    def progress(self, epoch: int, epochs: int, train_loss: float, valid_loss: float) -> None:
        """After each epoch, or iteration of a surrogate that has no epochs."""
        self._note = f"loss {train_loss:.3g}"
        if math.isfinite(valid_loss):
            self._note += f", validation {valid_loss:.3g}"
        self._done, self._total = epoch, epochs
        self._say(epoch, epochs, self._note)
        self._draw(epoch == epochs)

    def watch(self, row: EpochRow) -> None:
        """After each epoch of a network."""
        self._rows.append(row)
        self._draw(row.epoch == row.epochs)

    def tick(self, epoch: int, step: int, steps: int) -> None:
        """After each step of a network."""
        self._done = epoch + step / steps
        self._say(epoch, self._total, f"step {step}/{steps} {self._note}".strip())
        self._draw(False)

    def _draw(self, now: bool) -> None:
        if self._live is not None and (now or time.monotonic() - self._drawn > REFRESH):
            self._drawn = time.monotonic()
            self._live.update(self.rendered(), refresh=True)

    def rendered(self) -> RenderableType:
        """The table of the last epochs over a bar."""
        table = Table(show_edge=False, header_style="bold")
        for column in COLUMNS:
            table.add_column(column, justify="right")
        for row in self._rows:
            best = "bold" if row.epoch == row.best_epoch else ""
            table.add_row(
                f"{row.epoch}/{row.epochs}", f"{row.train:.4g}", f"{row.valid:.4g}",
                f"{row.valid_relative:.3g}", f"{row.rate:.2g}", f"{row.samples_per_second:.3g}",
                f"{100 * row.waiting:.0f} %", style=best,
            )  # fmt: skip
        bar = ProgressBar(total=self._total, completed=self._done, width=40)
        return Group(table, bar) if self._rows else Group(bar, Text(self._note))


@contextmanager
def training_view(terminal: Terminal) -> Iterator[TrainingView]:
    """The view that fits the terminal."""
    console = terminal.error_console()
    if terminal.quiet:
        yield TrainingView(lambda *_: None)
    elif not console.is_terminal:
        beat = Heartbeat(terminal.note, "train")
        yield TrainingView(lambda done, total, note: beat(-1, done, total, note))
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield TrainingView(lambda *_: None, live)
