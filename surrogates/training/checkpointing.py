"""Training checkpoints: two safetensors files, the newest and the one before, never a pickle."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdeinv.errors import DataSchemaError
from pdeinv.io.atomic import remove

from ..common.storage import load_arrays, save_arrays
from ..common.torch_env import torch

__all__ = [
    "CHECKPOINT",
    "PREVIOUS",
    "clear",
    "has_checkpoint",
    "packed",
    "read",
    "unpacked",
    "write",
]

CHECKPOINT = "training.safetensors"
PREVIOUS = "training.previous.safetensors"
COMPLEX = "|complex"
"""Ends the name of an array that holds real and imaginary parts along its last axis."""

logger = logging.getLogger(__name__)


def _to_numpy(tensor: Any) -> Any:
    plain = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return plain.cpu().numpy()


def packed(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by name under ``prefix``, complex ones marked."""
    return {
        f"{prefix}{k}{COMPLEX if v.is_complex() else ''}": _to_numpy(v) for k, v in tensors.items()
    }


def unpacked(prefix: str, arrays: Mapping[str, Any], device: Any) -> dict[str, Any]:
    """The inverse of :func:`packed`."""
    found = {}
    for key, value in arrays.items():
        if key.startswith(prefix):
            tensor = torch.from_numpy(value.copy()).to(device)
            name = key.removeprefix(prefix)
            found[name.removesuffix(COMPLEX)] = (
                torch.view_as_complex(tensor) if name.endswith(COMPLEX) else tensor
            )
    return found


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything to continue from."""
    return (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()


def sweep(folder: Path) -> None:
    """Delete what a kill in the middle of a checkpoint left behind."""
    for path in folder.glob(f".{CHECKPOINT}*"):
        remove(path)


def clear(folder: Path) -> None:
    """Delete the checkpoints of an earlier training."""
    for name in (CHECKPOINT, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


def write(folder: Path, arrays: Mapping[str, Any], note: Mapping[str, Any]) -> None:
    """Keep the newest checkpoint as the previous one and put this one in its place.

    At every moment at least one of the two files is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{CHECKPOINT}.new"
    save_arrays(fresh, arrays, note)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    if (folder / CHECKPOINT).exists():
        _keep(folder / CHECKPOINT, folder / PREVIOUS)
    os.replace(fresh, folder / CHECKPOINT)


def _keep(newest: Path, previous: Path) -> None:
    """Give the newest checkpoint the name of the previous one, and leave its own where possible."""
    second = previous.with_suffix(".link")
    second.unlink(missing_ok=True)
    try:
        os.link(newest, second)
    except OSError:  # a file system without hard links
        os.replace(newest, previous)
        return
    os.replace(second, previous)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and note of the newest checkpoint that can be read.

    Raises:
        DataSchemaError: neither can.
    """
    try:
        return load_arrays(folder / CHECKPOINT)
    except DataSchemaError as error:
        try:
            found = load_arrays(folder / PREVIOUS)
        except DataSchemaError:
            raise error from None
        logger.warning("%s; continuing from the one before, %s", error, PREVIOUS)
        return found
