"""Signals that ask a run to stop: it saves, and can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pdeinv.errors import Preempted, RunFailed

if TYPE_CHECKING:
    from pdeinv.engines.run.spec import Progress as Report

__all__ = ["INTERRUPTED", "StopRequest", "stoppable"]

INTERRUPTED = 130
"""Exit code after Ctrl-C; the other signals leave with that of :class:`Preempted`."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """What to do when a signal asks to stop.

    While ``graceful`` is false all that is finished is on disk, and the work is left at once. While
    it is true, the first signal is only noted (and left as file STOP in the run folder), for the
    work to save and stop by itself; a second signal leaves at once.
    """

    def __init__(self, folder: Path | None, message: str) -> None:
        self.folder, self.message = folder, message
        self.signum: int | None = None
        self.graceful = folder is None

    def __call__(self, signum: int, _: FrameType | None) -> None:
        """The signal handler."""
        repeated = self.signum is not None
        self.signum = signum
        if repeated or not self.graceful:
            raise self.error()
        self.mark()

    def requested(self) -> bool:
        """Whether a signal came."""
        return self.signum is not None

    def error(self) -> Preempted:
        """The error to leave with."""
        error = Preempted(self.message)
        if self.signum == signal.SIGINT:
            error.exit_code = INTERRUPTED
        return error

    def mark(self) -> None:
        """Ask the chains to stop."""
        if self.folder is not None:
            self.folder.joinpath("STOP").touch()

    def watching(self, report: Report) -> Report:
        """``report``, noting on the way that chains, which stop by themselves, are running."""

        def watched(chain: int, step: int, n_steps: int, note: str) -> None:
            self.graceful = chain >= 0
            if self.requested():
                self.mark()
            report(chain, step, n_steps, note)

        return watched


@contextmanager
def stoppable(folder: Path | None, message: str) -> Iterator[StopRequest]:
    """Handle stop signals while the block runs.

    Raises:
        Preempted: a signal came; its exit code is 75, or 130 after Ctrl-C.
    """
    request = StopRequest(folder, message)
    before = {s: signal.signal(s, request) for s in SIGNALS}
    try:
        yield request
    except (Preempted, RunFailed, BrokenProcessPool):
        # Schedulers signal every process of a job, so the workers may be gone before we are asked.
        if not request.requested():
            raise
        raise request.error() from None
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
