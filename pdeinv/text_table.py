"""Text tables with a header, as spreadsheets, instruments and statistics programs write them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from pdeinv import foreign
from pdeinv.errors import DataSchemaError, reason

__all__ = ["is_missing", "read_table", "read_text"]

Line = tuple[int, list[str]]
"""The number of a line, and its cells."""

_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "-"}


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return cell.lower() in _MISSING


def read_text(path: Path) -> str:
    """The text of a file, without the mark of byte order that spreadsheets put in front.

    Raises:
        DataSchemaError: missing, unreadable, too long or not text.
    """
    try:
        return foreign.read_text(path)
    except OSError as error:
        raise DataSchemaError(f"cannot read {path}: {error.strerror}") from None
    except foreign.Unreadable as error:
        raise DataSchemaError(
            f"{path} {error}; expected a table of numbers: export it as CSV UTF-8"
        ) from None


def read_table(path: Path) -> tuple[list[str], list[Line]]:
    """Header (in lower case) and rows; commas, semicolons or tabs between, # before comments.

    Between semicolons or tabs numbers may have decimal commas. Columns without a name are left
    out where they are empty, and where they are the row numbers in front.

    Raises:
        DataSchemaError: unreadable, empty, a row with another number of cells, or both decimal
            commas and decimal points.
    """
    lines = [
        (k, line)
        for k, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if lines and re.fullmatch(r"sep=.", lines[0][1].strip()):  # Excel says what is between cells
        lines = lines[1:]
    if not lines:
        raise DataSchemaError(f"{path} is empty; expected a table with a header")
    between = max(",;\t", key=lines[0][1].count)
    table = [(k, _cells(line, between, k, path)) for k, line in lines]
    cells = [(k, [c.strip() for c in row]) for k, row in table]
    header = [name.lower() for name in cells[0][1]]
    rows = [_matched(header, row, path) for row in cells[1:]]
    if between != ",":
        rows = _with_points(rows, path)
    kept = [i for i, name in enumerate(header) if name or not _nameless(rows, i, path)]
    return [header[i] for i in kept], [(k, [row[i] for i in kept]) for k, row in rows]


def _cells(line: str, between: str, k: int, path: Path) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=between))
    except csv.Error as error:  # a cell too long for any number, or a null character
        raise DataSchemaError(f"{path}, line {k}: {reason(error)}; expected a table") from None


def _matched(header: list[str], line: Line, path: Path) -> Line:
    """The row, which must have as many cells as there are names."""
    k, row = line
    if len(row) != len(header):
        commas = "; decimal commas need semicolons between the columns"
        raise DataSchemaError(
            f"{path}, line {k}: {len(row)} cells under {len(header)} column names"
            + (commas if len(row) > len(header) else "")
        )
    return line


def _with_points(rows: list[Line], path: Path) -> list[Line]:
    """Decimal commas as points."""
    found = {mark: [k for k, row in rows if any(map(mark.fullmatch, row))]
             for mark in (_COMMA, _POINT)}  # fmt: skip
    if found[_COMMA] and found[_POINT]:
        raise DataSchemaError(
            f"{path}: numbers have decimal commas in line {found[_COMMA][0]} and decimal points in "
            f"line {found[_POINT][0]}; write them alike"
        )
    return [(k, [c.replace(",", ".") if _COMMA.fullmatch(c) else c for c in r]) for k, r in rows]


def _nameless(rows: list[Line], column: int, path: Path) -> bool:
    """Whether a column without a name may be left out."""
    filled = [(k, row[column]) for k, row in rows if row[column]]
    if filled and column > 0:
        k, text = filled[0]
        raise DataSchemaError(f"{path}, line {k}: '{text}' stands in a column without a name")
    return True
