"""The streams of the command: nothing that is wrong with them ends or harms the work.

A stream may be closed, its reader may go, its device may be full, and its encoding may lack a
letter. What cannot be written is dropped; the exit code tells of it when the work is done.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from typing import TextIO

__all__ = ["FULL", "SIGPIPE", "Outlet", "code_of", "opened"]

SIGPIPE, FULL = 141, 1
"""Exit codes: what a shell reports for a program whose reader has gone; of any other trouble."""

REPLACED = "pdeinv-terminal"
"""Name of the rule for letters that an encoding lacks."""


class Outlet(io.FileIO):
    """An open descriptor whose first error is kept, and which takes whatever comes after it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: object, /) -> int:
        """Write what can be written."""
        whole = memoryview(data).nbytes  # type: ignore[arg-type]
        if self.failure is not None:
            return whole
        try:
            written = super().write(data)  # type: ignore[arg-type]
            if written is None:  # a terminal that another program left in non-blocking mode
                select.select([], [self], [])
                return 0
            return written
        except OSError as error:
            self.failure = error
            return whole


def opened() -> tuple[Outlet, Outlet]:
    """Put outlets in the place of ``sys.stdout`` and ``sys.stderr`` and return them."""
    _occupy()
    codecs.register_error(REPLACED, _replaced)
    out, err = Outlet(1), Outlet(2)
    sys.stdout = _text(out, sys.stdout, lines=False)
    sys.stderr = _text(err, sys.stderr, lines=True)
    return out, err


def _occupy() -> None:
    """Give closed standard streams to the null device, before a file of the run gets their number
    and with it what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(null, True)


def _text(outlet: Outlet, before: TextIO | None, *, lines: bool) -> TextIO:
    """A stream of text in the encoding of the one that was there."""
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors=REPLACED,
        line_buffering=lines or outlet.isatty(),
        write_through=bool(getattr(before, "write_through", False)),
    )


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """The bytes of file names that are no text as they are, "?" for what has no letter here."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    raw = (ord(c) - 0xDC00 if 0xDC80 <= ord(c) <= 0xDCFF else ord("?") for c in failed)
    return bytes(raw), error.end


def code_of(out: Outlet) -> int:
    """The exit code of a verb whose work is done: 0 where its result was written, or none read it.

    Where the device is full a line on stderr says so.
    """
    sys.stdout.flush()
    if out.failure is None:
        return 0
    if isinstance(out.failure, BrokenPipeError):
        return SIGPIPE
    why = out.failure.strerror
    sys.stderr.write(f"error: all is done, but stdout could not be written ({why})\n")
    return FULL
