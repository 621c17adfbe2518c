"""Verbs as child processes, and rows that are kept as soon as they are there."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Kept", "command", "epochs_within"]


def command(*words: Any) -> float:
    """Run a verb and give its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call = [str(Path(sys.executable).with_name("pdeinv")), *map(str, words)]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def epochs_within(minutes: float, spent: Callable[[int], float]) -> int:
    """Epochs that one thread does in so many CPU minutes.

    Args:
        minutes: of a training.
        spent: CPU seconds of a training of so many epochs.
    """
    one, three = spent(1), spent(3)
    return max(1, int(60 * minutes / max(0.5 * (three - one), 1e-3)))


@dataclass
class Kept:
    """Where the work lies, what it is asked for, and what is known already."""

    work: Path
    pairs: int
    epochs: int

    @property
    def data(self) -> Path:
        """The pairs."""
        return self.work / f"pairs-{self.pairs}.nc"

    @property
    def rows(self) -> dict[str, Any]:
        """What is known already, also by others that work there."""
        path = self.work / "rows.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def keep(self, key: str, row: dict[str, Any]) -> None:
        """Remember a row and print it."""
        rows = {**self.rows, key: row}
        (self.work / "rows.json").write_text(json.dumps(rows, indent=1))
        print(json.dumps({"row": key, **row}), flush=True)
