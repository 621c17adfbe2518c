"""What the training of a surrogate took, over all sessions of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdeinv.engines.run.clock import Seconds
from pdeinv.executors.usage import cpu_seconds
from pdeinv.io.atomic import write_text

__all__ = ["timed_training", "training_seconds"]

FILE = "training_seconds.json"


@contextmanager
def timed_training(folder: Path) -> Iterator[None]:
    """Add the seconds of the block, on the wall and of all processes, to those in the folder.

    A session that is killed within the block leaves no trace here.
    """
    wall, cpu = time.monotonic(), cpu_seconds()
    try:
        yield
    finally:
        spent = Seconds(time.monotonic() - wall, cpu_seconds() - cpu) + training_seconds(folder)
        if folder.is_dir():
            write_text(folder / FILE, json.dumps({"seconds": spent.wall, "cpu_seconds": spent.cpu}))


def training_seconds(folder: Path) -> Seconds:
    """What the training took so far."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Seconds(float(found["seconds"]), float(found["cpu_seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Seconds()
