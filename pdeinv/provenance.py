"""What every output file says about how it came to be."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from pdeinv.config import dump_toml, legible

__all__ = ["Source", "attributes", "files_of", "named_apart", "sha256", "sources_of", "versions"]

_TRACKED = ("pdeinv", "numpy", "scipy", "xarray", "dolfinx-solver-real", "fenics-dolfinx", "torch")


@cache
def versions() -> Mapping[str, str]:
    """The versions of the installed packages that results depend on."""
    found = {}
    for name in _TRACKED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return MappingProxyType(found)


def sha256(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of its files' names and contents in order."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(os.fsencode(file.relative_to(path)))
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def files_of(config: Any) -> list[Path]:
    """The files that a configuration reads, at any depth: its values that are paths of files."""
    if isinstance(config, Path):
        return [config] if config.is_file() else []
    if isinstance(config, BaseModel):
        return files_of(dict(config))
    if isinstance(config, Mapping):
        return files_of(list(config.values()))
    parts = config if isinstance(config, list | tuple) else ()
    return [path for part in parts for path in files_of(part)]


class Source(NamedTuple):
    """A file that something was read from: its name and its hash."""

    name: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Source:
        """That of a file or a folder."""
        return cls(path.name, sha256(path))


def sources_of(config: Any) -> list[Source]:
    """The files that a configuration reads, with their hashes."""
    return named_apart(files_of(config))


def named_apart(paths: Sequence[Path]) -> list[Source]:
    """Files with their hashes; those that share a name with another are called by their paths."""
    names = Counter(path.name for path in dict.fromkeys(paths))
    return [
        source._replace(name=str(path)) if names[path.name] > 1 else source
        for path, source in ((path, Source.of(path)) for path in paths)
    ]


def attributes(
    config: Mapping[str, Any], seed: int | None, inputs: Iterable[Source] = ()
) -> dict[str, Any]:
    """Global attributes: CF ``history``, command, resolved configuration, seed, versions, inputs.

    Args:
        config: the resolved configuration, stored as TOML text.
        seed: the root seed, or None where nothing was drawn.
        inputs: the files that it was made of.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = legible(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    return {
        "Conventions": "CF-1.11",
        "history": f"{now}: {command}",
        "pdeinv_version": versions().get("pdeinv", "unknown"),
        "pdeinv_command": command,
        "pdeinv_config": dump_toml(config),
        **({} if seed is None else {"pdeinv_seed": int(seed)}),
        "pdeinv_versions": ", ".join(f"{k}={v}" for k, v in versions().items()),
        "pdeinv_inputs": legible(", ".join(f"{k}:sha256={v}" for k, v in dict(inputs).items())),
        "pdeinv_platform": (
            f"{platform.system()} {platform.machine()} Python {platform.python_version()}"
        ),
    }
