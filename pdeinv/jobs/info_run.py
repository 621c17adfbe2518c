"""How far a run is, by what its folder holds: chains, training rounds, a training, batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdeinv.bayes.counters import Counters
from pdeinv.config import Count, read_toml, restored
from pdeinv.errors import DataSchemaError, reason
from pdeinv.foreign import Unreadable, parse_json, read_json, read_text
from pdeinv.io.arrays import opened_arrays
from pdeinv.io.marks import written_by_pdeinv

__all__ = ["describe_run", "is_run"]

FOREVER = 1e12
"""Seconds that no training takes."""

LOGS = ("log.jsonl", "history.jsonl")
"""Of a surrogate's training and of a network on the equation: one line for each epoch or block."""


def is_run(folder: Path) -> bool:
    """Whether a folder belongs to a run, which may only have begun."""
    return written_by_pdeinv(folder) or (folder / "run.json").exists()


def describe_run(folder: Path) -> dict[str, Any]:
    """What a live or stopped run has done.

    Raises:
        DataSchemaError: a checkpoint is damaged.
    """
    mark = _table(folder / "run.json")
    resolved = read_toml(folder / "config.toml") if (folder / "config.toml").exists() else {}
    if (folder / "run.json").exists() and "engine" not in mark:
        return _batches(folder, resolved)
    if _is_training(folder, resolved):
        return _training(folder, resolved)
    engine = mark.get("engine") or _named(resolved.get("engine"))
    return {
        "engine": engine,
        **(_rounds(folder) if _trains(resolved) else {}),
        **_tested(folder),
        "stop_asked": (folder / "STOP").exists(),
        "chains": [_chain(file) for file in sorted(folder.glob("chain*.state.npz"))],
    }


def _json(file: Path) -> Any:
    """What a file holds; {} where it is missing or not complete yet."""
    try:
        return read_json(file)
    except (OSError, ValueError):
        return {}


def _table(file: Path) -> dict[str, Any]:
    """The table that a file holds; {} where it holds none."""
    found = _json(file)
    return found if isinstance(found, dict) else {}


def _named(table: Any) -> Any:
    """The name in a table of a configuration."""
    return table.get("name") if isinstance(table, dict) else None


def _is_training(folder: Path, resolved: dict[str, Any]) -> bool:
    """Whether it is a surrogate or a network that is trained here, and nothing inverted."""
    return "engine" not in resolved and (
        any((folder / name).exists() for name in LOGS)
        or any(folder.glob("training*.safetensors"))
        or "surrogate" in resolved
    )


def _training(folder: Path, resolved: dict[str, Any]) -> dict[str, Any]:
    """The last line of the log, and how long all of its epochs took."""
    rows = [row for name in LOGS for row in _rows(folder / name)]
    table = resolved.get("surrogate") or resolved.get("solver")
    return {
        "training": _named(table),
        "saved": any(folder.glob("training*.safetensors")),
        "stop_asked": (folder / "STOP").exists(),
        "seconds_logged": round(sum(map(_seconds, rows)), 1),
        "progress": rows[-1] if rows else {},
    }


def _rows(file: Path) -> list[dict[str, Any]]:
    """The complete lines of a log that may be written at this moment."""
    found = []
    for line in _text(file).splitlines() if file.exists() else ():
        try:
            row = parse_json(line)
        except Unreadable:
            continue
        if isinstance(row, dict):
            found.append(row)
    return found


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise DataSchemaError(f"cannot read {file}: {error.strerror}") from None
    except Unreadable as error:
        raise DataSchemaError(f"{file} {error}") from None


def _seconds(row: dict[str, Any]) -> float:
    """What a line says of its time; 0 where it says nothing that could be meant."""
    value = row.get("seconds", 0)
    return float(value) if isinstance(value, int | float) and 0 <= value < FOREVER else 0.0


def _trains(resolved: dict[str, Any]) -> bool:
    """Whether an inversion trains a surrogate on its way; others have no such table, or a path."""
    table = resolved.get("surrogate") or {}
    return bool(table) and "path" not in table


def _rounds(folder: Path) -> dict[str, Any]:
    """How far the training of a surrogate on the way of an inversion is."""
    return {"training_rounds_done": len(list(folder.glob("round*.npz")))}


TESTED = {
    "mean": "test_mean_misfit_difference",
    "sd": "test_sd_misfit_difference",
    "r_hat": "test_r_hat_of_explorers",
    "passed": "test_passed",
}
"""What the last test of a surrogate found, by its names in the file of tests."""


def _tested(folder: Path) -> dict[str, Any]:
    """The last test of the surrogate; nothing where none was made yet."""
    tests = _json(folder / "tests.json")
    last = tests[-1] if isinstance(tests, list) and tests else {}
    return {told: last[name] for name, told in TESTED.items() if name in last}


def _batches(folder: Path, planned: dict[str, Any]) -> dict[str, Any]:
    """How far a data set is: what its batches say of themselves, hashes unchecked."""
    found = [_batch(file) for file in sorted(folder.glob("batch*.json"))]
    return {
        "samples": planned.get("n"),
        "samples_done": sum(batch.samples for batch in found),
        "samples_failed": sum(len(batch.failed) for batch in found),
        "batches_done": len(found),
        "seed": planned.get("seed"),
        "assembled": (folder / "manifest.json").exists(),
    }


@dataclass(frozen=True)
class _Batch:
    """What a batch says of itself."""

    samples: Count
    failed: list[Count]


def _batch(file: Path) -> _Batch:
    try:
        return restored(_Batch, read_json(file), "batch")
    except (OSError, Unreadable) as error:
        raise DataSchemaError(f"{file} is damaged ({reason(error)})") from None


@dataclass(frozen=True)
class _Meta:
    """What a checkpoint says of a chain."""

    step: Count
    counters: Counters
    seconds: float
    cpu_seconds: float = 0.0
    misfit: float | None = None


def _chain(file: Path) -> dict[str, Any]:
    """A chain at its last checkpoint; its misfit is the mean over walkers or members."""
    with opened_arrays(
        file, lambda kind: DataSchemaError(f"checkpoint {file} is damaged ({kind})")
    ) as data:
        meta = restored(_Meta, parse_json(str(data["meta"])), "meta")
    return {
        "chain": file.name.partition(".")[0].removeprefix("chain"),
        "step": meta.step,
        "misfit": None if meta.misfit is None else float(f"{meta.misfit:.5g}"),
        "seconds": round(meta.seconds, 1),
        "cpu_seconds": round(meta.cpu_seconds, 1),
        **{k: getattr(meta.counters, k) for k in ("n_forward", "n_surrogate", "n_failed")},
    }
