"""The line between processes that train together: they hear signals while they wait on it.

torch waits in C++, where no handler of Python runs. What waits here looks again and again whether
a message has come, whether this process is asked to stop, and whether another one said that it was.
The store through which they talk may hang as well, so threads ask it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pdeinv.errors import Preempted
from pdeinv.executors.place import Place

__all__ = ["GRACE", "Line"]

GRACE = 30.0
"""Seconds for which a process that is asked to stop waits for the others to stop with it."""

LOOK = 0.2
"""Seconds between two looks for what others say."""

FAREWELL = 10.0
"""Seconds for which a process that leaves tries to tell; the first one, until all have heard."""

STOPPED, HEARD = "pdeinv/stopped", "pdeinv/heard"
"""What is said through the store, and by how many others it was heard."""

MESSAGE = "another training process was stopped; what was saved is kept, continue with --resume"


@dataclass
class Line:
    """What one process has of it.

    Attributes:
        store: through which all talk.
        place: of this process.
        asked: whether this process is to stop.
        abandoned: whether it has left others that wait for it.
    """

    store: Any
    place: Place
    asked: Callable[[], bool]
    abandoned: bool = False
    _heard: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def __post_init__(self) -> None:
        # a connection of its own: while one hangs in a question, another one can still tell
        self._ear = self.store.clone() if hasattr(self.store, "clone") else self.store

    def until(self, work: Any) -> None:
        """Wait for a collective operation.

        Raises:
            Preempted: this process was asked to stop, and the others do not come; or another one
                was, and has left.
            RuntimeError: a connection is broken.
        """
        begun = time.monotonic()
        self.abandoned = True  # unless it comes to its end
        while not work.is_completed():
            waited = time.monotonic() - begun
            time.sleep(min(LOOK, waited / 20))
            if waited > LOOK:
                self._listen(waited)
        self.abandoned = False
        work.wait()

    def _listen(self, waited: float) -> None:
        self._begin_watching()
        if self._heard.is_set():
            raise Preempted(MESSAGE)
        if waited > GRACE and self.asked():
            raise Preempted("stopped while others did not answer; continue with --resume")

    def _begin_watching(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        with suppress(RuntimeError):  # the store is gone with the first process
            while not self._over.wait(LOOK):
                if self._ear.check([STOPPED]):
                    self._heard.set()
                    return

    def broken(self) -> None:
        """See whether a connection is broken because another process has left on a signal.

        Raises:
            Preempted: it has.
        """
        self._begin_watching()
        if self._heard.wait(4 * LOOK):
            raise Preempted(MESSAGE)

    @contextmanager
    def parting(self) -> Iterator[None]:
        """Tell the others of a signal that ends the block, or of what was heard of one."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, Preempted) or not isinstance(error, Exception):
                telling = threading.Thread(target=self._say_stopped, daemon=True)
                telling.start()
                telling.join(FAREWELL)
            raise
        finally:
            self._over.set()
            if self._watcher is not None:
                self._watcher.join(2 * LOOK)

    def _say_stopped(self) -> None:
        """Tell it; the first process, with which the store goes, stays until all have heard."""
        with suppress(RuntimeError):
            self.store.set(STOPPED, "1")
            if self.place.rank > 0:
                self.store.add(HEARD, 1)
                return
            while int(self.store.add(HEARD, 0)) < self.place.size - 1:
                time.sleep(LOOK)
