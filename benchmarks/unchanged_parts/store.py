"""What a version computed: all arrays in files of numpy, and a digest of each in one JSON file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Arrays
from .run import Ran
from .spelling import newest

INDEX = "unchanged.json"


def digest(value: np.ndarray[Any, Any]) -> str:
    """Type, shape, SHA-256 of the bytes (its first 40 bits) and Euclidean norm.

    Of a single number type, shape and the number itself, which is all that there is to tell.
    """
    head = f"{value.dtype.str[1:]} {'x'.join(map(str, value.shape)) or 1}"
    if value.size == 1:
        return f"{head} ={int(value.item()) if value.dtype.kind == 'b' else value.item()!r}"
    plain = np.ascontiguousarray(value)
    code = hashlib.sha256(plain.tobytes()).hexdigest()[:10]
    finite = np.abs(plain[np.isfinite(plain)]).astype(float)
    return f"{head} {code} {np.linalg.norm(finite):.4g}"


class Store:
    """A folder of `CASE.npz` and the digests; or the file of digests alone."""

    def __init__(self, path: Path):
        """Read the digests that are there."""
        self.folder = path if path.is_dir() or not path.suffix else None
        self.index = path / INDEX if self.folder else path
        known = json.loads(self.index.read_text()) if self.index.exists() else {}
        self.cases = {name: _flat(groups) for name, groups in known.get("cases", {}).items()}
        self.failures: dict[str, str] = known.get("failures", {})
        self.seconds: dict[str, float] = known.get("seconds", {})

    def add(self, name: str, ran: Ran) -> None:
        """Keep what a case left, in place of what was known of it."""
        assert self.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        for table in (self.cases, self.failures, self.seconds):
            table.pop(name, None)
        self.seconds[name] = round(ran.seconds, 1)
        if ran.failure:
            self.failures[name] = ran.failure
        else:
            self.cases[name] = {k: digest(v) for k, v in sorted(ran.arrays.items())}
            np.savez_compressed(self.folder / f"{name}.npz", **_escaped(ran.arrays))
        self.write(self.index, times=True)

    def write(self, path: Path, times: bool = False) -> None:
        """The digests; with the seconds that each case took, which are never the same."""
        parts: dict[str, Any] = {"cases": {k: _by_group(v) for k, v in sorted(self.cases.items())}}
        if self.failures or times:
            parts["failures"] = dict(sorted(self.failures.items()))
        if times:
            parts["seconds"] = dict(sorted(self.seconds.items()))
        path.write_text(json.dumps(parts, indent=0, ensure_ascii=False) + "\n")

    def digests(self, name: str) -> dict[str, str] | None:
        """Of one case, by the newest names of its arrays."""
        found = self.cases.get(name)
        return None if found is None else {newest(_plain(k)): v for k, v in found.items()}

    def arrays(self, name: str) -> Arrays:
        """Of one case; nothing where only digests are there."""
        file = self.folder / f"{name}.npz" if self.folder else None
        if file is None or not file.exists():
            return {}
        with np.load(file) as data:
            return {newest(_plain(k)): data[k] for k in data.files}


Groups = dict[str, dict[str, str | int | float]]


def _by_group(digests: dict[str, str]) -> Groups:
    """Digests by file and group, whose names are then written once, and single numbers as such."""
    found: Groups = {}
    for name, value in digests.items():
        end = max(name.rfind(":"), name.rfind("/")) + 1
        head, _, number = value.partition(" 1 =")
        kind = {"i8": int, "f8": float}.get(head)
        found.setdefault(name[:end], {})[name[end:]] = kind(number) if kind else value
    return found


def _flat(groups: Groups) -> dict[str, str]:
    return {
        f"{group}{name}": value if isinstance(value, str) else digest(np.asarray(value))
        for group, names in groups.items()
        for name, value in names.items()
    }


def _escaped(arrays: Arrays) -> Arrays:
    """Names without the separator of folders, which files of numpy would take for one."""
    return {name.replace("/", "|"): value for name, value in arrays.items()}


def _plain(name: str) -> str:
    return name.replace("|", "/")
