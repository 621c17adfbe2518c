"""One voltage per line: drive electrodes, measurement electrodes, value."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.plugins.problem import Importer
from pdeinv.text_table import is_missing, read_table

from .frame import Frame, note_missing, to_observations
from .instrument import Instrument, Positive

__all__ = ["CSV", "CsvOptions"]

PAIRS = ("drive_plus", "drive_minus", "meas_plus", "meas_minus")
_VOLTAGE = ("value", "imag", "phase")
OPTIONAL = ("imag", "phase", "sigma", "current")


class CsvOptions(Instrument):
    """Flags of the format."""

    electrodes: int = Field(ge=2, description="how many there are")
    first_number: Literal[0, 1] = Field(description="number of the first electrode: 0 or 1")
    amplitude: Positive | None = Field(
        None, description="of the current; required without a column 'current'"
    )


@dataclass(frozen=True)
class _Line:
    """One voltage; electrodes count from 0."""

    drive: tuple[int, int]
    pair: tuple[int, int]
    value: complex
    sigma: float
    current: float


def _read(source: Path, options: CsvOptions) -> xr.Dataset:
    frame = _frame(source, options)
    reference = None if options.reference is None else _frame(options.reference, options)
    return to_observations(frame, options, reference)


CSV = Importer(
    "Text table with columns drive_plus, drive_minus, meas_plus, meas_minus, value; optional imag "
    "or phase (degrees), sigma, current.",
    CsvOptions,
    _read,
)


def _frame(source: Path, options: CsvOptions) -> Frame:
    header, rows = read_table(source)
    _check_header(header, source)
    if "current" not in header and options.amplitude is None:
        raise ConfigError(
            f"{source} has no column 'current'; pass --amplitude (in --current-unit, A by default)"
        )
    lines = [
        _line(dict(zip(header, cells, strict=True)), options, f"{source}, line {k}")
        for k, cells in rows
    ]
    return _table(lines, [k for k, _ in rows], options, str(source), header)


def _check_header(header: list[str], source: Path) -> None:
    missing = [name for name in (*PAIRS, "value") if name not in header]
    unknown = [name for name in header if name not in (*PAIRS, "value", *OPTIONAL)]
    if missing or unknown:
        what = f"column '{missing[0]}' is missing" if missing else f"unknown column '{unknown[0]}'"
        raise DataSchemaError(
            f"{source}: {what}; expected {','.join(PAIRS)},value and optionally "
            f"{','.join(OPTIONAL)}, got {','.join(header)}"
        )
    if "imag" in header and "phase" in header:
        raise DataSchemaError(f"{source}: give 'imag' or 'phase', not both")
    if len(set(header)) < len(header):
        raise DataSchemaError(f"{source}: a column name occurs twice in {','.join(header)}")


def _line(cells: dict[str, str], options: CsvOptions, where: str) -> _Line:
    a, b, m, n = (_electrode(cells[name], name, options, where) for name in PAIRS)
    if a == b or m == n:
        raise DataSchemaError(
            f"{where}: {'drive' if a == b else 'meas'}_plus and _minus are the same electrode"
        )
    number = {k: _number(v, k, where) for k, v in cells.items() if k not in PAIRS}
    value = complex(number["value"], number.get("imag", 0.0))
    if "phase" in number:
        value = cmath.rect(number["value"], math.radians(number["phase"]))
    if cmath.isnan(value):
        value = complex(math.nan, math.nan)
    current = number.get("current", options.amplitude or 0.0)
    sigma = number.get("sigma", math.nan)
    if not current > 0 or sigma <= 0:
        name = "sigma" if sigma <= 0 else "current"
        raise DataSchemaError(f"{where}: {name} must be positive, got {cells[name]}")
    return _Line((a, b), (m, n), options.volt * value, options.volt * sigma, current)


def _electrode(text: str, name: str, options: CsvOptions, where: str) -> int:
    first, last = options.first_number, options.first_number + options.electrodes - 1
    try:
        number = int(text)
    except ValueError:
        raise DataSchemaError(f"{where}: {name} is '{text}', expected a whole number") from None
    if not first <= number <= last:
        raise DataSchemaError(
            f"{where}: {name} {number} is no electrode; there are {options.electrodes}, numbered "
            f"from {first} to {last} (--electrodes, --first-number)"
        )
    return number - first


def _number(text: str, name: str, where: str) -> float:
    """A finite number; NaN for a voltage that was not measured."""
    if name in _VOLTAGE and is_missing(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataSchemaError(f"{where}: {name} is '{text}', expected a finite number")
    return value


def _table(
    lines: list[_Line], numbers: list[int], options: CsvOptions, source: str, header: list[str]
) -> Frame:
    """The lines as a matrix; see :func:`_pairs`."""
    drives = list(dict.fromkeys((x.drive, x.current) for x in lines))
    pairs = _pairs(lines)
    place = {p: k for k, p in enumerate(pairs)}
    row = {d: k for k, d in enumerate(drives)}
    shape = (len(drives), len(pairs))
    voltage, sigma = np.full(shape, np.nan, dtype=complex), np.full(shape, np.nan)
    seen: dict[tuple[int, int], int] = {}
    for x, number in zip(lines, numbers, strict=True):
        sign = 1 if x.pair in place else -1
        at = (row[x.drive, x.current], place[x.pair if sign > 0 else x.pair[::-1]])
        if at in seen:
            raise DataSchemaError(
                f"{source}, line {number}: repeats the measurement of line {seen[at]}; average "
                "repeated frames, or write one file for each"
            )
        seen[at], voltage[at], sigma[at] = number, sign * x.value, x.sigma
    real = "imag" not in header and "phase" not in header
    values: Any = voltage.real if real else voltage
    current = [(d, options.ampere * size) for d, size in drives]
    note_missing(np.array([x.value for x in lines]), source)
    return Frame(
        _dipoles(current, options.electrodes),
        _dipoles([(p, 1.0) for p in pairs], options.electrodes),
        values,
        sigma if "sigma" in header else None,
        source,
    )


def _pairs(lines: list[_Line]) -> list[tuple[int, int]]:
    """The measured pairs; one that comes the other way round too is turned.

    Not where one injection has both: then these are two readings, as of a belt that is measured
    all round.
    """
    read = {(x.drive, x.current, x.pair) for x in lines}
    twice = {pair for drive, current, pair in read if (drive, current, pair[::-1]) in read}
    pairs = list(dict.fromkeys(x.pair for x in lines))
    return sorted(p for k, p in enumerate(pairs) if p in twice or p[::-1] not in pairs[:k])


def _dipoles(pairs: list[tuple[tuple[int, int], float]], count: int) -> Any:
    """One row for each pair: +size at its first electrode, −size at its second."""
    table = np.zeros((len(pairs), count))
    for k, ((plus, minus), size) in enumerate(pairs):
        table[k, plus], table[k, minus] = size, -size
    return table
