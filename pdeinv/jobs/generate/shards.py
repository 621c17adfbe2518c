"""Batches of a data set as files: arrays with their hash beside them, verified before use.

``batch000007.npz`` holds the samples and ``batch000007.json``, written after it, their number, the
rows that failed and the sha256 of the arrays. A shard without a matching hash counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.errors import RunFailed
from pdeinv.foreign import read_json
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.atomic import write_text
from pdeinv.io.runs import discard
from pdeinv.jobs.generate.samples import Samples, joined
from pdeinv.provenance import sha256

__all__ = [
    "Shard",
    "blocks",
    "drop_if_empty",
    "forget",
    "load",
    "save",
    "verified",
    "write_manifest",
]

BLOCK_SAMPLES = 256
BLOCK_BYTES = 1 << 25
"""Samples that are written at once, whichever comes first: a dataset costs as much as its rows."""


@dataclass(frozen=True)
class Shard:
    """One verified batch.

    Attributes:
        number: of the batch.
        samples: how many samples of it are wanted.
        failed: how many of those failed.
        digest: sha256 of the file of arrays.
    """

    number: int
    samples: int
    failed: int
    digest: str


def _arrays(folder: Path, k: int) -> Path:
    return folder / f"batch{k:06d}.npz"


def save(folder: Path, k: int, samples: Samples) -> None:
    """Write batch ``k``, arrays first."""
    arrays = {
        f.name: np.asarray(getattr(samples, f.name))
        for f in fields(samples)
        if getattr(samples, f.name) is not None
    }
    file = _arrays(folder, k)
    write_arrays(file, **arrays)
    facts = {
        "samples": len(samples.xi),
        "failed": [i for i, text in enumerate(samples.failures) if text],
        "sha256": sha256(file),
    }
    write_text(file.with_suffix(".json"), json.dumps(facts))


def verified(folder: Path, k: int, n: int) -> Shard | None:
    """Batch ``k`` with its first ``n`` samples; None where missing, altered or too short."""
    file = _arrays(folder, k)
    try:
        facts = read_json(file.with_suffix(".json"))
        good = facts["samples"] >= n and facts["sha256"] == sha256(file)
        failed = sum(row < n for row in facts["failed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Shard(k, n, failed, facts["sha256"]) if good else None


def load(folder: Path, k: int, n: int) -> Samples:
    """The first ``n`` samples of batch ``k``.

    Raises:
        RunFailed: the file cannot be read.
    """
    lost = f"batch {k} in {folder} cannot be read back"
    remedy = "check the disk and continue with --resume"
    with opened_arrays(
        _arrays(folder, k), lambda kind: RunFailed(f"{lost} ({kind}); {remedy}")
    ) as data:
        arrays = {name: _cut(name, data[name], n) for name in data.files}
        failures = tuple(str(text) for text in arrays.pop("failures"))
        return Samples(failures=failures, **arrays)


def blocks(folder: Path, shards: Iterable[Shard]) -> Iterator[Samples]:
    """All samples in order, those of some batches together.

    Raises:
        RunFailed: a file cannot be read.
    """
    held: list[Samples] = []
    for shard in shards:
        held.append(load(folder, shard.number, shard.samples))
        samples, size = sum(len(s.xi) for s in held), sum(s.nbytes for s in held)
        if samples >= BLOCK_SAMPLES or size >= BLOCK_BYTES:
            yield joined(held)
            held = []
    if held:
        yield joined(held)


def _cut(name: str, array: Any, n: int) -> Any:
    """The first ``n`` rows; directions that all samples share stay as they are."""
    return array if name == "probes" and array.ndim == 2 else array[:n]


def forget(folder: Path) -> None:
    """Delete all batches."""
    for pattern in ("batch*.npz", "batch*.json", "manifest.json"):
        for old in folder.glob(pattern):
            old.unlink(missing_ok=True)


def drop_if_empty(folder: Path) -> None:
    """Remove a run folder without any batch, which would only stand in the way of a repeat."""
    if not any(folder.glob("batch*.npz")):
        discard(folder)


def write_manifest(folder: Path, facts: Mapping[str, Any], shards: Iterable[Shard]) -> None:
    """Write ``manifest.json``: ``facts`` and the hash and counts of every shard."""
    listed = {
        _arrays(folder, s.number).name: {
            "samples": s.samples, "failed": s.failed, "sha256": s.digest,
        }
        for s in shards
    }  # fmt: skip
    manifest = {"format": 1, **facts, "shards": listed}
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
