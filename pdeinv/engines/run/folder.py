"""The run folder: who may write it, and which run its checkpoints belong to."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pdeinv.engines.base import Engine
from pdeinv.engines.run.spec import Run
from pdeinv.errors import ConfigError
from pdeinv.io.atomic import atomic, remove
from pdeinv.io.decided import check_same, decided_before, plain

__all__ = ["claimed", "decided_by"]

LENGTHS = ("draws", "max_iterations")
"""Options that may change when a run is continued."""


@contextmanager
def claimed(engine: Engine[Any], spec: Run, mark_file: str = "run.json") -> Iterator[None]:
    """Hold the run folder: made, locked against a second run, marked with what it belongs to.

    Without ``spec.resume`` the checkpoints of an earlier run are removed.

    Args:
        engine: what runs, or will run where something is prepared for it first.
        spec: how.
        mark_file: where the mark stands; what is prepared for a run has one of its own.

    Raises:
        ConfigError: another run holds it, or its checkpoints belong to another run.
        DataSchemaError: its mark cannot be read.
    """
    spec.folder.mkdir(parents=True, exist_ok=True)
    with _locked(spec.folder):
        file, decides = spec.folder / mark_file, decided_by(engine, spec)
        if spec.resume and file.exists():
            what = f"checkpoints in {spec.folder} belong to another configuration, seed or data"
            check_same(decided_before(file, "decides"), decides, what)
        _clean(spec.folder, everything=not spec.resume)
        with atomic(file) as target:
            target.write_text(json.dumps({"decides": plain(decides), "engine": engine.name}))
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """An advisory lock that the system drops when the process ends, however it ends."""
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another run is writing {folder}; wait for it, or choose another --out"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield


def decided_by(engine: Engine[Any], spec: Run) -> dict[str, Any]:
    """What checkpoints belong to: engine, options but for lengths, seed, model and data."""
    config = engine.config.model_dump(mode="json", exclude=set(LENGTHS))
    return {**spec.tag, "engine": {"name": engine.name, **config}, "seed": spec.seed}


def _clean(folder: Path, *, everything: bool) -> None:
    """Remove what killed runs left behind, and the checkpoints too where ``everything``."""
    stale = ["STOP", "chain*.progress.json", ".chain*", ".run.json.*"]
    for pattern in (*stale, "chain*.npz") if everything else stale:
        for path in folder.glob(pattern):
            remove(path)
