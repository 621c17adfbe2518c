"""The files that a file of pdeinv goes on needing: meshes, images, and what else it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pdeinv.config import parse_toml
from pdeinv.errors import PdeinvError
from pdeinv.io import netcdf
from pdeinv.io.fields import CONFIG

__all__ = ["inputs_of"]

TABLES = CONFIG, "pdeinv_config"
"""Attributes that hold configurations."""


def inputs_of(path: Path) -> list[Path]:
    """``path`` and the files that its configurations name, none of which an output may replace.

    Of one that cannot be read only itself: whoever reads it says why.
    """
    try:
        attrs = netcdf.read_tree(path).attrs
        tables = [parse_toml(str(attrs[name]), name) for name in TABLES if name in attrs]
    except PdeinvError:
        return [path]
    texts = (text for table in tables for text in _texts(table))
    return [path, *dict.fromkeys(Path(text) for text in texts if _is_file(text))]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False
