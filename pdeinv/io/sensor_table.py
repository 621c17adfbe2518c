"""Sensors as rows of text, from a CSV file or from the command line."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["csv_rows", "numbers"]


def csv_rows(path: Path, headers: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The header of a CSV file and its other rows, empty ones left out.

    Args:
        path: the file.
        headers: those that may be.

    Raises:
        ConfigError: not a file of text, or another header.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read sensors {path}: {error}") from None
    if not rows or rows[0] not in [list(h) for h in headers]:
        wanted = " or ".join(",".join(h) for h in headers)
        raise ConfigError(f"sensors {path}: expected a CSV file with header {wanted}")
    return rows[0], rows[1:]


def numbers(rows: list[list[str]], widths: Collection[int]) -> Array | None:
    """Rows of finite numbers, all of one of the ``widths``; None where they are not."""
    try:
        table = np.array([[float(value) for value in row] for row in rows])
    except ValueError:
        return None
    good = table.ndim == 2 and table.shape[1] in widths and bool(np.isfinite(table).all())
    return table if good else None
