"""What a signal does to a verb, from its first moment to its last: an exit code and one line.

Verbs that can resume save in good order while they work (:mod:`.stop`); what is here holds before
and after that, and for all other verbs. It loads nothing that takes time.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

__all__ = [
    "INTERRUPTED",
    "RESUMABLE",
    "SIGNALS",
    "Stopped",
    "asked",
    "end_at_once",
    "ignore",
    "leave_in_order",
]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C, and what schedulers send."""

INTERRUPTED, RESUME, FAILED = 130, 75, 1
"""Exit codes: after Ctrl-C; of a verb that can resume; of any other verb."""

RESUMABLE = ("solve", "generate", "train-surrogate", "invert")
"""The verbs with an option ``--resume``."""


class Stopped(BaseException):
    """A signal came while the verb had nothing to save.

    Attributes:
        message: one line.
        exit_code: what the shell sees.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.message, self.exit_code = message, exit_code

    @classmethod
    def by(cls, signum: int, words: Sequence[str]) -> Stopped:
        """What a signal means to the verb of that command line."""
        resumes = any(word in RESUMABLE for word in words[:1])
        code = RESUME if resumes else FAILED
        return cls(
            f"stopped by {signal.Signals(signum).name}; run the same command again"
            + (", with --resume where OUT.run is there" if resumes else ""),
            INTERRUPTED if signum == signal.SIGINT else code,
        )

    def tell(self, words: Sequence[str]) -> None:
        """One line on stderr and, where asked for, the same as JSON on stdout; past all buffers."""
        _write(2, f"error: {self.message}")
        if "--json" in words:
            error = {"type": "Stopped", "message": self.message, "exit_code": self.exit_code}
            _write(1, json.dumps({"schema": 1, "error": error}))


def _write(stream: int, text: str) -> None:
    with suppress(OSError):  # nobody reads it
        os.write(stream, f"{text}\n".encode())


def _on_signal(handler: Callable[[int, FrameType | None], None]) -> None:
    for signum in SIGNALS:
        signal.signal(signum, handler)


def end_at_once(words: Sequence[str]) -> None:
    """From now on a signal ends the process where it is: nothing is written yet, or half-loaded."""

    def ended(signum: int, _: FrameType | None) -> None:
        stopped = Stopped.by(signum, words)
        stopped.tell(words)
        os._exit(stopped.exit_code)

    _on_signal(ended)


def leave_in_order(words: Sequence[str]) -> None:
    """From now on a signal raises :class:`Stopped`, so that nothing half-written stays behind.

    A second one ends the process where it is.
    """

    def left(signum: int, _: FrameType | None) -> None:
        _asked.append(Stopped.by(signum, words))
        end_at_once(words)
        raise _asked[-1]

    _on_signal(left)


_asked: list[Stopped] = []


def asked() -> Stopped | None:
    """What a signal raised, also where something else has become of it."""
    return _asked[-1] if _asked else None


def ignore() -> None:
    """From now on signals are ignored, also while the interpreter ends."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
