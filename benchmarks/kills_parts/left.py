"""What a command has left: files that should not be there, and the numbers of its outputs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from unchanged_parts import arrays

MEASURED = re.compile(r"pdeinv_surrogate_(cost|gain)$")
"""Attributes that rest on measured times."""

SCRATCH, WORKING = (".*",), ("STOP", "*.progress.json")
"""Files that no stop may leave, and those of a run that works or waits to be resumed."""


def files(folder: Path, *, finished: bool) -> list[str]:
    """Names of temporary files, in the run folder too."""
    patterns = (*SCRATCH, *WORKING) if finished else SCRATCH
    found = {p for pattern in patterns for p in folder.rglob(pattern)}
    return sorted(str(p.relative_to(folder)) for p in found)


def numbers(folder: Path, inputs: tuple[str, ...]) -> dict[str, Any]:
    """All arrays of what was written; figures and configurations as their bytes."""
    made = [p for p in folder.iterdir() if p.name not in inputs and not p.name.endswith(".run")]
    found: dict[str, Any] = {}
    for path in made:
        if path.is_dir():
            found |= arrays.surrogate(path)
        elif path.suffix == ".nc":
            found |= arrays.netcdf(path)
        elif path.suffix == ".vtkhdf":
            found |= arrays.vtkhdf(path)
        elif not path.name.startswith("."):
            found[path.name] = np.frombuffer(path.read_bytes(), np.uint8)
    return {k: v for k, v in found.items() if not MEASURED.search(k)}


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Names of arrays that are not the same, bit for bit."""
    odd = set(found) ^ set(expected)
    both = sorted(set(found) & set(expected))
    return sorted(odd) + [k for k in both if not _same(found[k], expected[k])]


def _same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
