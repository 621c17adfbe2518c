"""The clock of a surrogate's training, over all sessions of a run."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pdeinv.engines.run.clock import Seconds
from pdeinv.executors.usage import cpu_seconds
from pdeinv.foreign import read_json
from pdeinv.io.atomic import write_text

__all__ = ["TrainingClock"]

FILE = "training_seconds.json"


class TrainingClock:
    """Seconds on the wall and of all processes: what a budget limits and what the result tells.

    It runs from the moment it is made.

    Args:
        folder: the run folder, which holds those of earlier sessions.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = _kept(folder)
        self._since: Seconds | None = _now()

    @property
    def spent(self) -> Seconds:
        """Until now or the stop, earlier sessions included."""
        return self._before if self._since is None else self._before + _now() - self._since

    def stop(self) -> None:
        """The training ends, or the session."""
        self._before, self._since = self.spent, None
        self.save()

    def save(self) -> None:
        """Keep what was spent; a session that is killed loses what came after."""
        if self._folder.is_dir():
            found = {"seconds": self.spent.wall, "cpu_seconds": self.spent.cpu}
            write_text(self._folder / FILE, json.dumps(found))


def _now() -> Seconds:
    return Seconds(time.monotonic(), cpu_seconds())


def _kept(folder: Path) -> Seconds:
    """What earlier sessions took."""
    try:
        found = read_json(folder / FILE)
        return Seconds(float(found["seconds"]), float(found["cpu_seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Seconds()
