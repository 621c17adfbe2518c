"""Where mechanisms lie, and what one holds, by its hash; Cantera is not imported for it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pdeinv.provenance import sha256

__all__ = ["digest_of", "located"]


def located(mechanism: Path) -> Path | None:
    """The file of a mechanism: a path, or one in the folder that Cantera brings; None for none."""
    if mechanism.is_file():
        return mechanism
    package = find_spec("cantera")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    candidates = [Path(folder) / "data" / mechanism for folder in folders]
    return next((path for path in candidates if path.is_file()), None)


def digest_of(mechanism: Path) -> str:
    """The SHA-256 of a mechanism; empty where there is no such file."""
    path = located(mechanism)
    return "" if path is None else sha256(path)
