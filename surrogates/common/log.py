"""The log of a training: one JSON line per epoch, and TensorBoard event files on request."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pdeinv import extras
from pdeinv.io.atomic import atomic
from pdeinv.plugins.fitting import EpochRow

__all__ = ["LOG", "Tracker", "check_tensorboard"]

LOG = "log.jsonl"


def _earlier(path: Path, epoch: int) -> list[str]:
    """The lines of epochs up to ``epoch``; a line that a kill left half-written is dropped."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            if json.loads(line)["epoch"] <= epoch:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    return kept


class Tracker:
    """Writes the log; a resumed training continues it without doubled or missing epochs."""

    def __init__(self, folder: Path | None, tensorboard: Path | None, epoch: int) -> None:
        """``epoch`` epochs are done."""
        self._path = None if folder is None else folder / LOG
        self._events: Any = None
        if self._path is not None:
            kept = _earlier(self._path, epoch)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self._path) as target:
                target.write_text("".join(kept), encoding="utf-8")
        if tensorboard is not None:
            self._events = _writer(tensorboard, epoch)

    def write(self, row: EpochRow) -> None:
        """Append one epoch."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
        if self._events is not None:
            for name, value in asdict(row).items():
                if name not in ("epoch", "epochs"):
                    self._events.add_scalar(name, value, row.epoch)
            self._events.flush()

    def close(self) -> None:
        """Close the event files."""
        if self._events is not None:
            self._events.close()


def check_tensorboard() -> Any:
    """The class that writes event files.

    Raises:
        MissingDependency: the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise extras.missing("tensorboard", "--tensorboard needs") from None
    return SummaryWriter


def _writer(folder: Path, epoch: int) -> Any:
    """A TensorBoard writer that hides events of epochs that are done again."""
    return check_tensorboard()(str(folder), purge_step=epoch + 1)
