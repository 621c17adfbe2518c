"""The folder beside an output that keeps what a run needs to continue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdeinv.config import dump_toml, read_toml
from pdeinv.io.atomic import remove, write_text

__all__ = ["drop_unless_resumable", "recalled_seed", "remember", "run_folder"]

CONFIG = "config.toml"
RESUMABLE = ("*.npz", "*.safetensors")
"""Files of a run folder that a run can go on from: of engines and rounds, of trainings."""


def run_folder(out: Path) -> Path:
    """Where the checkpoints of ``out`` live; needed to continue the run, else removable."""
    return out.with_name(out.name + ".run")


def remember(folder: Path, resolved: Mapping[str, Any]) -> None:
    """Keep the resolved configuration in the run folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, dump_toml(resolved))


def recalled_seed(folder: Path) -> int | None:
    """The seed of the run that ``folder`` belongs to, so that a resumed run need not name it.

    Raises:
        ConfigError: the stored configuration is damaged.
    """
    file = folder / CONFIG
    seed = read_toml(file).get("seed") if file.exists() else None
    return None if seed is None else int(seed)


def drop_unless_resumable(folder: Path) -> None:
    """Remove a run folder that holds no checkpoint and no training round: nothing could go on."""
    if not any(any(folder.rglob(kind)) for kind in RESUMABLE):
        remove(folder)
