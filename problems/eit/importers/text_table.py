"""Text tables with a header, as spreadsheets and instruments write them."""

from __future__ import annotations

import csv
from pathlib import Path

from pdeinv.errors import DataSchemaError

__all__ = ["read_table", "read_text"]

Rows = list[tuple[int, list[str]]]
"""Cells with the number of their line."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        DataSchemaError: missing, unreadable or not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataSchemaError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataSchemaError(f"{path} is not UTF-8 text; expected a table of numbers") from None


def read_table(path: Path) -> tuple[list[str], Rows]:
    """Header (in lower case) and rows; commas, semicolons or tabs between, # before comments.

    Raises:
        DataSchemaError: unreadable, empty, or a row with another number of cells.
    """
    lines = [
        (k, line)
        for k, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise DataSchemaError(f"{path} is empty; expected a table with a header")
    delimiter = max(",;\t", key=lines[0][1].count)
    table = [(k, next(csv.reader([line], delimiter=delimiter))) for k, line in lines]
    cells = [(k, [c.strip() for c in row]) for k, row in table]
    header = [name.lower() for name in cells[0][1]]
    for k, row in cells[1:]:
        if len(row) != len(header):
            raise DataSchemaError(
                f"{path}, line {k}: {len(row)} cells under {len(header)} column names"
            )
    return header, cells[1:]
