"""The files without which a file of pdeinv is of no use: the meshes and images of its problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pdeinv.config import parse_toml
from pdeinv.errors import ConfigError
from pdeinv.io.marks import attributes_of

__all__ = ["needed_by"]


def needed_by(path: Path) -> list[Path]:
    """The files that the configuration of the problem in a file names.

    None of one that is no NetCDF file, or cannot be read: whoever reads it says why.
    """
    from pdeinv.io.fields import CONFIG

    attrs = attributes_of(path, CONFIG, "pdeinv_config") if path.is_file() else {}
    try:
        tables = {name: parse_toml(str(text), name) for name, text in attrs.items()}
    except ConfigError:
        return []
    of_problem = [tables.get(CONFIG), tables.get("pdeinv_config", {}).get("problem")]
    return list(dict.fromkeys(Path(text) for text in _texts(of_problem) if _is_file(text)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False
