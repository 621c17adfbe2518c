"""What is known of plug-ins, kept between runs: reading it off their classes imports what they use.

The kept description holds until an entry point, a source file of a plug-in's package or a folder of
installed packages changes. It is text and nothing else; without a folder to keep it in, or where a
plug-in cannot be imported, it is read off the classes each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pdeinv.errors import PdeinvError
from pdeinv.foreign import read_json
from pdeinv.io.atomic import write_text
from pdeinv.plugins.registry import Kind
from pdeinv.user_cache import user_cache

__all__ = ["described"]

Entries = list[dict[str, Any]]


def described(kind: Kind) -> Entries:
    """What ``listing.describe`` says, without importing a plug-in where that was kept."""
    file, stamp = _folder() / f"{kind}.json", _stamp(entry_points(group=f"pdeinv.{kind}"))
    kept = _kept(file, stamp)
    if kept is not None:
        return kept
    from pdeinv.plugins.listing import describe

    found = describe(kind)
    if all(entry["available"] for entry in found):
        _keep(file, stamp, found)
    return found


def _folder() -> Path:
    return user_cache() / "pdeinv" / "cards"


def _kept(file: Path, stamp: str) -> Entries | None:
    try:
        held = read_json(file)
        return list(held["entries"]) if held["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, stamp: str, entries: Entries) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"stamp": stamp, "entries": entries}))
    except (OSError, PdeinvError):
        return  # a home that cannot be written to


def _stamp(entries: Iterable[EntryPoint]) -> str:
    """A fingerprint of all that a description follows from."""
    found, digest = sorted(entries), hashlib.sha256(sys.version.encode())
    roots = {root for entry in found for root in _roots(entry.module)}
    for line in (
        *(f"{entry.name} = {entry.value}" for entry in found),
        *(fact for root in sorted(roots) for fact in _files(root)),
        *(_fact(Path(folder)) for folder in sys.path),
    ):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _roots(module: str) -> Iterator[Path]:
    """Where the code of a plug-in's package is; one that is loaded may be in several places."""
    top, *rest = module.split(".")
    names = [top, f"{top}.{rest[0]}"] if rest and top in sys.modules else [top]
    for name in names:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is not None:
            yield from map(Path, spec.submodule_search_locations or ())
            if spec.origin:
                yield Path(spec.origin)


def _files(root: Path) -> Iterator[str]:
    if root.is_file():
        yield _fact(root)
        return
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            if name.endswith(".py"):
                yield _fact(Path(folder, name))


def _fact(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{path} absent"
    return f"{path} {found.st_mtime_ns} {found.st_size}"
