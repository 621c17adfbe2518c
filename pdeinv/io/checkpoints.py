"""The JSON side of surrogate checkpoints: folders of ``metadata.json`` and safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import Unreadable, read_json
from pdeinv.io.reading import refused

__all__ = ["read_metadata", "write_metadata"]

_NAME = "metadata.json"


def read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of a checkpoint folder.

    Raises:
        DataSchemaError: no such folder, no metadata in it, or not JSON.
    """
    if folder.is_file():
        raise DataSchemaError(
            f"{folder} is a file, and a surrogate is a folder; give the --out of "
            "'train-surrogate', which learns from files of 'generate' (--data)"
        )
    if not folder.is_dir():
        raise DataSchemaError(
            f"no such surrogate folder: {folder}; train one with 'train-surrogate'"
        )
    try:
        data = read_json(folder / _NAME)
    except FileNotFoundError:
        raise DataSchemaError(f"{folder} is no surrogate checkpoint: {_NAME} is missing") from None
    except OSError as error:
        raise refused(folder / _NAME, error) or error from None
    except Unreadable as error:
        raise DataSchemaError(f"{folder / _NAME} {error}; train it again") from None
    if not isinstance(data, dict):
        raise DataSchemaError(f"{folder / _NAME} must hold a JSON object; train it again")
    return data


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write ``metadata.json`` into an existing folder."""
    text = json.dumps(metadata, indent=1, sort_keys=True)
    (folder / _NAME).write_text(text + "\n", encoding="utf-8")
