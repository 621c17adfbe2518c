"""Checkpoints of one chain: chunks of records plus the exact state, each written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Counters
from pdeinv.errors import DataSchemaError
from pdeinv.io.atomic import atomic
from pdeinv.rng import dump_state, load_state
from pdeinv.typing import Array

__all__ = ["ChainStore", "Saved"]


@dataclass(frozen=True)
class Saved:
    """Where a chain stood: the state after ``step`` steps, its generator and what it spent."""

    state: Any
    rng: np.random.Generator
    step: int
    n_chunks: int
    counters: Counters
    seconds: float


def _cast(value: Array, kind: str) -> Any:
    """A stored array as the scalar type that the state's field declares."""
    kinds = {"int": int, "float": float, "bool": bool}
    return kinds[kind](value) if kind in kinds else value


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
        """Write the new records as a chunk, then the state; returns ``saved`` with its chunk count."""
        n = saved.n_chunks
        if records:
            with atomic(self._chunk(n)) as target, target.open("wb") as stream:
                np.savez(stream, **{k: np.stack([r[k] for r in records]) for k in records[0]})
            n += 1
        meta = {
            "rng": dump_state(saved.rng),
            "step": saved.step,
            "n_chunks": n,
            "counters": saved.counters.as_dict(),
            "seconds": saved.seconds,
        }
        state = {f"state_{k}": np.asarray(v) for k, v in asdict(saved.state).items()}
        with atomic(self._state_file) as target, target.open("wb") as stream:
            np.savez(stream, meta=np.array(json.dumps(meta)), **state)
        return Saved(saved.state, saved.rng, saved.step, n, saved.counters, saved.seconds)

    def load(self, state_type: type[Any]) -> Saved | None:
        """The last saved point, or None where there is none.

        Raises:
            DataSchemaError: the checkpoint is damaged.
        """
        if not self._state_file.exists():
            return None
        try:
            with np.load(self._state_file, allow_pickle=False) as data:
                meta = json.loads(str(data["meta"]))
                parts = {
                    f.name: _cast(data[f"state_{f.name}"], str(f.type)) for f in fields(state_type)
                }
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataSchemaError(
                f"checkpoint {self._state_file} is damaged ({type(error).__name__}); "
                "start again with --overwrite"
            ) from None
        return Saved(
            state_type(**parts),
            load_state(meta["rng"]),
            meta["step"],
            meta["n_chunks"],
            Counters(**meta["counters"]),
            meta["seconds"],
        )

    def records(self, n_chunks: int) -> dict[str, Array]:
        """All records of the first ``n_chunks`` chunks, concatenated."""
        parts: list[dict[str, Array]] = []
        for i in range(n_chunks):
            with np.load(self._chunk(i), allow_pickle=False) as data:
                parts.append(dict(data))
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]} if parts else {}
