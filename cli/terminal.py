"""Where a verb writes: the result on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdeinv.foreign import visible

__all__ = ["SCHEMA", "Terminal", "emit"]

SCHEMA = 1
"""Version of the JSON objects on stdout; keys are only ever added under one number."""
PLAIN_WIDTH = 120
"""Columns of tables that go to a file or pipe."""


def emit(stream: TextIO, text: str) -> None:
    """One line, at once."""
    stream.write(text + "\n")
    stream.flush()


def _console(stream: TextIO) -> Console:
    """A console that takes text as it is: no markup and no emoji, which files could bring along."""
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


class _Visible(logging.Formatter):
    """Log records without what steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One record, over several lines where it tells of an error."""
        return visible(super().format(record), line=False)


@dataclass(frozen=True)
class Terminal:
    """The two streams of one command.

    Attributes:
        json: the result is one JSON object instead of tables.
        quiet: no progress and no notes.
        verbose: log details.
        stdout: where the result goes, even while third-party prints are sent to stderr.
        stderr: where the rest goes.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)

    @contextmanager
    def opened(self) -> Iterator[Terminal]:
        """Send log records, warnings and stray prints to stderr while the block runs."""
        handler = logging.StreamHandler(self.stderr)
        handler.setFormatter(_Visible("%(levelname)s %(name)s: %(message)s"))
        logger = logging.getLogger("pdeinv")
        level, propagate = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(
            logging.INFO if self.verbose else logging.ERROR if self.quiet else logging.WARNING
        )
        logger.propagate = False
        shown = warnings.showwarning
        warnings.showwarning = self._show_warning
        try:
            with redirect_stdout(self.stderr):
                yield self
        finally:
            warnings.showwarning = shown
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate

    def _show_warning(
        self, message: Warning | str, category: type[Warning], *_: Any, **__: Any
    ) -> None:
        ours = issubclass(category, UserWarning | RuntimeWarning)
        if self.verbose or (ours and not self.quiet):
            self._line(
                f"warning: {str(message).splitlines()[0] if str(message) else category.__name__}"
            )

    def _line(self, text: str) -> None:
        emit(self.stderr, visible(text))

    def note(self, text: str) -> None:
        """One line on stderr that ``--quiet`` hides."""
        if not self.quiet:
            self._line(text)

    @contextmanager
    def notes_if_done(self) -> Iterator[None]:
        """Keep warnings back until the block has ended well: an error makes them pointless."""
        kept: list[tuple[Any, ...]] = []
        shown = warnings.showwarning
        warnings.showwarning = lambda *told: kept.append(told)
        try:
            yield
        finally:
            warnings.showwarning = shown
        for told in kept:
            shown(*told)

    def error_console(self) -> Console:
        """The console of progress bars."""
        return _console(self.stderr)

    def result(self, data: Mapping[str, Any], *shown: Table | str) -> None:
        """The result: ``data`` as one JSON object, or ``shown`` for people."""
        if self.json:
            text = json.dumps(_plain({"schema": SCHEMA, **data}))
            emit(self.stdout, text)
            return
        console = _console(self.stdout)
        for item in shown:
            if isinstance(item, str):
                emit(self.stdout, visible(item, line=False, names=True))
            else:
                console.print(item)

    def plan(self, data: Mapping[str, Any], dry_run: bool) -> None:
        """Show what would be done and end the command there, if that is all that was asked for."""
        if dry_run:
            self.result({"dry_run": True, **data}, *(f"{k}: {v}" for k, v in data.items()))
            raise typer.Exit

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
        """A table whose cells are plain text (no markup is read from them)."""
        head = Text(visible(title))
        table = Table(title=head, title_justify="left", header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(Text(visible(column)), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        return table


def _cell(value: object) -> Text:
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    return Text("" if value is None else visible(str(value)))


def _plain(value: Any) -> Any:
    """JSON data: numpy values, sets and paths made plain, numbers that are not finite made null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
