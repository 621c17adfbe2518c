"""When a run has to stop and save: a signal, a time limit, or a file STOP in its folder."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pdeinv.errors import ConfigError, Preempted
from pdeinv.system_errors import explained

from .signals import INTERRUPTED, SIGNALS

if TYPE_CHECKING:
    from pdeinv.engines.progress import Progress as Report

__all__ = ["Limits", "StopRequest", "resumable", "seconds_of", "stoppable"]

NOTHING = "stopped before anything was saved; run the same command again"

GO_ON = "; then continue with --resume"
"""Ends the line of a fault that can be mended."""


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
        saved = self.folder is None or self.folder.is_dir()
        error = Preempted(self.message if saved else NOTHING)
        if self.signum == signal.SIGINT:
            error.exit_code = INTERRUPTED
        return error

    def mark(self) -> None:
        """Ask the chains to stop."""
        if self.folder is not None:
            self.folder.joinpath("STOP").touch()

    def forget(self) -> None:
        """All is done: what was asked for in the last write asks the next run for nothing."""
        if self.requested() and self.folder is not None:
            self.folder.joinpath("STOP").unlink(missing_ok=True)

    def watching(self, report: Report) -> Report:
        """``report``, noting on the way that what stops by itself, a training or chains, runs."""

        def watched(chain: int, step: int, n_steps: int, note: str) -> None:
            self.graceful = True
            if self.requested():
                self.mark()
            report(chain, step, n_steps, note)

        return watched


@contextmanager
def resumable() -> Iterator[None]:
    """Say in the line of a full disk and the like that ``--resume`` goes on.

    Raises:
        SystemFault: with that, whatever the system said.
    """
    try:
        yield
    except Exception as error:
        fault = explained(error)
        if fault is None:
            raise
        more = "" if str(fault).endswith(GO_ON) else GO_ON
        raise type(fault)(f"{fault}{more}") from error


@contextmanager
def stoppable(folder: Path | None, message: str) -> Iterator[StopRequest]:
    """Handle stop signals while the block runs.

    Raises:
        Preempted: a signal came; its exit code is 75, or 130 after Ctrl-C.
    """
    request = StopRequest(folder, message)
    before = {s: signal.signal(s, request) for s in SIGNALS}
    try:
        with resumable():
            yield request
        request.forget()
    except Exception:
        # Schedulers signal every process of a job, so the workers may be gone before we are asked;
        # and what was raised may have become another error, in a half-loaded module say.
        if not request.requested():
            raise
        raise request.error() from None
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


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
