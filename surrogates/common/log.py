"""The log of a training: one JSON line per epoch, and TensorBoard event files on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pdeinv import extras
from pdeinv.foreign import parse_json, read_text
from pdeinv.io.atomic import atomic
from pdeinv.plugins.fitting import EpochRow, FitRun
from pdeinv.system_errors import cannot, of_machine, system_error

__all__ = ["LOG", "check_tensorboard", "tracked"]

LOG = "log.jsonl"


def _earlier(path: Path, epoch: int) -> list[str]:
    """The lines of epochs up to ``epoch``; a line that a kill left half-written is dropped."""
    kept = []
    for line in read_text(path).splitlines() if path.exists() else ():
        try:
            if parse_json(line)["epoch"] <= epoch:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    return kept


@contextmanager
def tracked(run: FitRun, epoch: int) -> Iterator[Callable[[EpochRow], None]]:
    """How to note an epoch while the block runs; ``epoch`` of them are done.

    A resumed training continues the log without doubled or missing epochs. Only the first of
    several processes writes.
    """
    path = run.folder / LOG if run.folder is not None and run.ranks.first else None
    if path is not None:
        kept = _earlier(path, epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as target:
            target.write_text("".join(kept), encoding="utf-8")
    with _events(run.tensorboard if run.ranks.first else None, epoch) as events:

        def write(row: EpochRow) -> None:
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
            events(row)

        yield write


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


@contextmanager
def _events(folder: Path | None, epoch: int) -> Iterator[Callable[[EpochRow], None]]:
    """How to write an epoch's event, which hides those of epochs that are done again."""
    if folder is None:
        yield lambda _: None
        return
    with _writing(folder):
        writer = check_tensorboard()(str(folder), purge_step=epoch + 1)

    def write(row: EpochRow) -> None:
        with _writing(folder):
            for name, value in asdict(row).items():
                if name not in ("epoch", "epochs"):
                    writer.add_scalar(name, value, row.epoch)
            writer.flush()

    with _quiet_thread():
        try:
            yield write
        except BaseException:
            with suppress(Exception):  # what ended the training is what is told
                writer.close()
            raise
        with _writing(folder):
            writer.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Tell a disk that refuses events as such, whatever the library makes of it."""
    try:
        yield
    except Exception as error:
        found = system_error(error)
        if found is None:
            raise
        raise cannot("write", folder, found) from error


@contextmanager
def _quiet_thread() -> Iterator[None]:
    """Keep the traceback of the thread that writes events from the terminal; it is told again."""
    shown = threading.excepthook

    def hook(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is None or not of_machine(what.exc_value):
            shown(what)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = shown
