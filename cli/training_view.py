"""How a training stands: a live table on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import Heartbeat
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.plugins.fitting import EpochRow

__all__ = ["TrainingView", "training_view"]

SHOWN = 8
"""Epochs that the table holds."""
REFRESH = 0.2
"""Seconds between two drawings."""
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
