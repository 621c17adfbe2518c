"""Arrays on disk as safetensors: never a pickle, whatever else lies in the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError, PdeinvError, reason
from pdeinv.foreign import Unreadable, memory, parse_json
from pdeinv.io.atomic import atomic
from pdeinv.io.checkpoints import read_metadata, write_metadata
from pdeinv.io.reading import parsed
from pdeinv.memory import size_of
from pdeinv.provenance import sha256
from pdeinv.typing import Array

__all__ = [
    "FORMAT",
    "complete",
    "load_arrays",
    "load_folder",
    "read_kind",
    "save_arrays",
    "save_folder",
    "under",
    "within",
]

WEIGHTS = "weights.safetensors"

DIGEST = "weights_sha256"
"""The entry of the metadata with the hash of the weights, where a flipped bit is no other error."""

FORMAT = 1
"""Of the metadata; raised when older programs would misread them."""


def save_arrays(path: Path, arrays: Mapping[str, Any], note: Mapping[str, Any]) -> None:
    """Write named arrays with a JSON note in the file's header, in one atomic step."""
    from safetensors.numpy import save_file

    contiguous = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    with atomic(path) as target:
        save_file(contiguous, target, {"note": json.dumps(note)})


def load_arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays by name and the note.

    Raises:
        DataSchemaError: missing, damaged or of another format.
    """
    from safetensors import safe_open

    with parsed(path, lambda kind: _unreadable(path, kind)):
        _check_room(path)
        with safe_open(path, framework="numpy") as file:
            note = parse_json((file.metadata() or {}).get("note", "{}"))
            arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    if not isinstance(note, dict):
        raise _unreadable(path, "its note is no table")
    return arrays, note


def _check_room(path: Path) -> None:
    """The library itself refuses headers that declare more than the file holds.

    Raises:
        Unreadable: it is larger than there is memory for.
    """
    if path.stat().st_size > memory():
        raise Unreadable(f"is larger than {size_of(memory())}, which is left for it in memory")


def _unreadable(path: Path, kind: str) -> DataSchemaError:
    return DataSchemaError(f"cannot read {path} as safetensors ({kind}); train again")


def save_folder(folder: Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """A surrogate's folder: weights, then the metadata that make it complete."""
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / WEIGHTS, arrays, {})
    write_metadata(folder, {**metadata, DIGEST: sha256(folder / WEIGHTS)})


def read_kind(folder: Path, surrogate: str) -> dict[str, Any]:
    """The metadata of a folder that a surrogate of this name wrote.

    Raises:
        DataSchemaError: missing, damaged, of another kind of surrogate or of another format.
    """
    metadata = read_metadata(folder)
    kind, form = metadata.get("surrogate"), metadata.get("format", FORMAT)
    if form != FORMAT:
        raise DataSchemaError(
            f"{folder} has the format {form}, this pdeinv reads format {FORMAT}; use the pdeinv "
            "that wrote it, or train it again"
        )
    if kind != surrogate:
        raise DataSchemaError(
            f"{folder} holds a surrogate of kind '{kind}', expected '{surrogate}'; load it as such"
        )
    return metadata


def load_folder(folder: Path, surrogate: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and metadata of a folder that :func:`save_folder` wrote for ``surrogate``.

    Raises:
        DataSchemaError: missing, damaged, or of another kind of surrogate.
    """
    metadata = read_kind(folder, surrogate)
    arrays, _ = load_arrays(folder / WEIGHTS)
    # folders of earlier versions do not say it; it is the folder's and not the surrogate's
    if metadata.pop(DIGEST, None) not in (None, sha256(folder / WEIGHTS)):
        raise DataSchemaError(
            f"{folder / WEIGHTS} is not the file that {folder.name} was saved with: its SHA-256 is "
            "another one; copy it again, or train again"
        )
    return arrays, metadata


@contextmanager
def complete(folder: Path) -> Iterator[None]:
    """Turn an entry that a folder lacks into one line.

    Raises:
        DataSchemaError: an entry is missing or of another kind.
    """
    try:
        yield
    except PdeinvError:
        raise
    except KeyError as error:
        raise DataSchemaError(f"{folder}: entry {error} is missing; train it again") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataSchemaError(
            f"{folder}: an entry is damaged ({reason(error)}); train it again"
        ) from None


def under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays whose names begin with ``prefix``, put before."""
    return {prefix + name: a for name, a in arrays.items()}


def within(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`under`; others are left out."""
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
