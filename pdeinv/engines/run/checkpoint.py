"""Checkpoints of one chain: chunks of records plus the exact state, each written atomically."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np

from pdeinv.bayes.posterior import Counters
from pdeinv.config import Count, restored
from pdeinv.engines.run.clock import Seconds
from pdeinv.errors import DataSchemaError
from pdeinv.foreign import parse_json
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.rng import dump_state, load_state
from pdeinv.typing import Array

__all__ = ["ChainStore", "Saved", "shown_misfit"]

SCALARS = (int, float)
"""Parts of a state that are no arrays: these types and those derived from them (bool, enums)."""


@dataclass(frozen=True)
class Saved:
    """Where a chain stood: the state after ``step`` steps, its generator and what it spent."""

    state: Any
    rng: np.random.Generator
    step: int
    n_chunks: int
    counters: Counters
    spent: Seconds


@dataclass(frozen=True)
class _Meta:
    """What stands beside the arrays of a state."""

    rng: str
    step: Count
    n_chunks: Count
    counters: Counters
    seconds: float
    cpu_seconds: float


def shown_misfit(state: Any) -> float | None:
    """Φ of a state, the mean over its walkers or members; None where it tells none."""
    misfit = getattr(state, "misfit", None)
    return None if misfit is None else float(np.mean(misfit))


class ChainStore:
    """The files of chain ``k`` in a run folder.

    A chunk is written before the state that counts it, so a crash between the two leaves an extra
    chunk that the next run overwrites, never a gap.
    """

    def __init__(self, folder: Path, k: int) -> None:
        self.folder = folder
        self.stem = f"chain{k}"

    def _chunk(self, i: int) -> Path:
        return self.folder / f"{self.stem}.{i:05d}.npz"

    @property
    def _state_file(self) -> Path:
        return self.folder / f"{self.stem}.state.npz"

    def save(self, saved: Saved, records: list[Mapping[str, Any]]) -> Saved:
        """Write the new records as a chunk, then the state; returns it with its chunk count."""
        n = saved.n_chunks
        if records:
            chunk = {k: np.stack([r[k] for r in records]) for k in records[0]}
            write_arrays(self._chunk(n), **chunk)
            n += 1
        meta = {
            "rng": dump_state(saved.rng),
            "step": saved.step,
            "n_chunks": n,
            "counters": saved.counters.as_dict(),
            "seconds": saved.spent.wall,
            "cpu_seconds": saved.spent.cpu,
            "misfit": shown_misfit(saved.state),
        }
        meta_text = np.array(json.dumps(meta))
        write_arrays(self._state_file, meta=meta_text, **_arrays("state", saved.state))
        return replace(saved, n_chunks=n)

    def load(self, state_type: type[Any]) -> Saved | None:
        """The last saved point, or None where there is none.

        Raises:
            DataSchemaError: the checkpoint is damaged.
        """
        if not self._state_file.exists():
            return None
        return _read(self._state_file, lambda arrays: _restored(state_type, arrays))

    def records(self, n_chunks: int) -> dict[str, Array]:
        """All records of the first ``n_chunks`` chunks, concatenated.

        Raises:
            DataSchemaError: a chunk is damaged or missing.
        """
        parts = [_read(self._chunk(i), dict) for i in range(n_chunks)]
        try:
            return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]} if parts else {}
        except (KeyError, ValueError):
            raise DataSchemaError(
                f"the chunks of {self.stem} in {self.folder} do not fit together; start again with "
                "--overwrite"
            ) from None


def _read[T](file: Path, use: Callable[[Any], T]) -> T:
    def refusal(kind: str) -> DataSchemaError:
        return DataSchemaError(
            f"checkpoint {file} is damaged ({kind}); start again with --overwrite"
        )

    with opened_arrays(file, refusal) as arrays:
        return use(arrays)


def _arrays(name: str, value: Any) -> dict[str, Array]:
    """A value by names, those of a dataclass within a dataclass joined by dots."""
    if not is_dataclass(value):
        return {name: np.asarray(value)}
    parts = [_arrays(f"{name}.{f.name}", getattr(value, f.name)) for f in fields(value)]
    return {k: v for part in parts for k, v in part.items()}


def _value(name: str, kind: Any, arrays: Mapping[str, Array]) -> Any:
    """The inverse of :func:`_arrays` for a value annotated as ``kind``."""
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        parts = {f.name: _value(f"{name}.{f.name}", kinds[f.name], arrays) for f in fields(kind)}
        return cast(Any, kind)(**parts)
    value = arrays[name]
    return kind(value.item()) if isinstance(kind, type) and issubclass(kind, SCALARS) else value


def _restored(state_type: type[Any], arrays: Mapping[str, Array]) -> Saved:
    meta = restored(_Meta, parse_json(str(arrays["meta"])), "meta")
    state, rng = _value("state", state_type, arrays), load_state(meta.rng)
    spent = Seconds(meta.seconds, meta.cpu_seconds)
    return Saved(state, rng, meta.step, meta.n_chunks, meta.counters, spent)
