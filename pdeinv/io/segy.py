"""SEG-Y files: traces of one length with their headers, read with care and written.

The layout is checked here before segyio sees the file: sizes, formats and lengths that contradict
each other are told in one line.

Format: SEG-Y revisions 0 and 1, Society of Exploration Geophysicists (1975, 2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv import extras
from pdeinv.errors import DataSchemaError
from pdeinv.foreign import Unreadable, check_regular
from pdeinv.io.atomic import atomic
from pdeinv.io.marks import maker
from pdeinv.io.reading import parsed
from pdeinv.memory import check_fits
from pdeinv.typing import Array

__all__ = ["FIELDS", "SUFFIXES", "Traces", "check_segy_name", "read_segy", "write_segy"]

SUFFIXES = (".segy", ".sgy")
FIELDS = {
    "record": 9,
    "trace": 13,
    "kind": 29,
    "receiver_elevation": 41,
    "source_elevation": 45,
    "source_depth": 49,
    "elevation_scalar": 69,
    "coordinate_scalar": 71,
    "source_x": 73,
    "source_y": 77,
    "receiver_x": 81,
    "receiver_y": 85,
    "coordinate_units": 89,
    "delay": 109,
    "samples": 115,
    "interval": 117,
    "time_scalar": 215,
}
"""First bytes of what is read of the header of a trace."""

_TEXT, _HEADS, _TRACE = 3200, 3600, 240
_SIZES = {1: 4, 2: 4, 3: 2, 5: 4, 8: 1}
"""Bytes of a sample, by the code of its format: IBM and IEEE floats, integers."""
_SYSTEMS = {1: "m", 2: "ft"}

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Traces:
    """What a file holds.

    Attributes:
        headers: of each trace by the names of :data:`FIELDS`, each (traces,).
        values: the samples, shape (traces, samples).
        interval: between two samples, microseconds; 0: the file does not say.
        units: of places, ``m`` or ``ft``; empty: the file does not say.
    """

    headers: Mapping[str, Ints]
    values: Array
    interval: int
    units: str


def check_segy_name(path: Path) -> None:
    """Refuse another suffix.

    Raises:
        DataSchemaError: with those that SEG-Y files have.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataSchemaError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")


def read_segy(path: Path) -> Traces:
    """All traces of a file.

    Raises:
        DataSchemaError: no SEG-Y file, cut short, of traces of several lengths, or of a format of
            numbers that is not read.
        MissingDependency: segyio is not installed.
    """
    segyio = extras.load("segyio", "SEG-Y files need")
    try:
        check_regular(path)
        layout = _Layout.of(path)
    except OSError as error:
        raise DataSchemaError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise DataSchemaError(f"{path} {error}") from None
    size = 12 * layout.traces * layout.samples
    check_fits(f"{path}: {layout.traces} traces of {layout.samples} samples", size, "cut the file")

    def refusal(kind: str) -> DataSchemaError:
        return DataSchemaError(f"{path}: segyio cannot read it ({kind}); write it again")

    with (
        parsed(path, refusal),
        segyio.open(str(path), ignore_geometry=True, endian=layout.endian) as file,
    ):
        headers = {k: np.asarray(file.attributes(b)[:], np.int64) for k, b in FIELDS.items()}
        values = np.asarray(file.trace.raw[:], dtype=np.float64)
    return Traces(headers, values, layout.interval, _SYSTEMS.get(layout.system, ""))


def write_segy(path: Path, traces: Traces, lines: tuple[str, ...] = ()) -> None:
    """Write IEEE floats in revision 1.

    Args:
        path: of the file.
        traces: their headers hold every name of :data:`FIELDS` that is not zero.
        lines: of the textual header, 76 characters each.

    Raises:
        MissingDependency: segyio is not installed.
    """
    segyio = extras.load("segyio", "SEG-Y files need")
    spec = segyio.spec()
    spec.format, spec.samples = 5, np.arange(traces.values.shape[1])
    spec.tracecount = len(traces.values)
    told = dict(enumerate((f"written by {maker()}", *lines, "SEG Y REV1", "END TEXTUAL HEADER"), 1))
    with atomic(path) as target, segyio.create(str(target), spec) as file:
        file.text[0] = segyio.tools.create_text_header(told)
        file.bin.update(
            {
                segyio.BinField.Interval: traces.interval,
                segyio.BinField.MeasurementSystem: 2 if traces.units == "ft" else 1,
                segyio.BinField.SEGYRevision: 1,
                segyio.BinField.TraceFlag: 1,
                segyio.BinField.Traces: 1,
            }
        )
        for k, row in enumerate(traces.values.astype(np.float32)):
            file.header[k] = {FIELDS[n]: int(column[k]) for n, column in traces.headers.items()}
            file.trace[k] = row


@dataclass(frozen=True)
class _Layout:
    """How the bytes of a file are divided."""

    endian: str
    samples: int
    traces: int
    interval: int
    system: int

    @classmethod
    def of(cls, path: Path) -> _Layout:
        """That of a file whose sizes fit each other.

        Raises:
            DataSchemaError: they do not.
        """
        length = path.stat().st_size
        if length <= _HEADS + _TRACE:
            raise DataSchemaError(
                f"{path}: {length} bytes are no SEG-Y file, whose headers alone have "
                f"{_HEADS + _TRACE}; check the download"
            )
        data = np.memmap(path, dtype=np.uint8, mode="r")
        order = _order(data, path)
        width = _SIZES[_short(data, 3225, order)]
        start = _HEADS + _TEXT * _extended(data, order, path)
        samples = _short(data, 3221, order) or _short(data, start + 115, order)
        count = _count(data[start:], samples, width, order, path)
        ends = {">": "big", "<": "little"}
        system, interval = _short(data, 3255, order), _short(data, 3217, order)
        return cls(ends[order], samples, count, interval, system)


def _short(data: Any, byte: int, order: str) -> int:
    """The two bytes from ``byte`` on, counted from 1, as a number."""
    return int(np.frombuffer(bytes(data[byte - 1 : byte + 1]), dtype=f"{order}u2")[0])


def _order(data: Any, path: Path) -> str:
    """The order of bytes in which the format of samples is one that is known."""
    codes = {order: _short(data, 3225, order) for order in "><"}
    for order, code in codes.items():
        if code in _SIZES:
            return order
    code = codes[">"]
    if 1 <= code <= 16:
        raise DataSchemaError(
            f"{path}: samples of format {code} are not read; expected IBM floats (1), IEEE floats "
            "(5) or integers (2, 3, 8): convert the file"
        )
    raise DataSchemaError(
        f"{path}: no SEG-Y file: its binary header names the format {code} of samples, expected 1 "
        "to 16"
    )


def _extended(data: Any, order: str, path: Path) -> int:
    """Textual headers beside the first one."""
    revision, count = _short(data, 3501, order), _short(data, 3505, order)
    if revision == 0:
        return 0
    if _HEADS + _TEXT * count + _TRACE >= len(data):
        raise DataSchemaError(
            f"{path}: {count} extended textual headers do not fit into the file; correct bytes "
            "3505 and 3506"
        )
    return count


def _count(data: Any, samples: int, width: int, order: str, path: Path) -> int:
    """How many traces there are, all of one length."""
    if samples == 0:
        raise DataSchemaError(f"{path}: neither binary header nor trace 0 says how many samples")
    size = _TRACE + samples * width
    count, rest = divmod(len(data), size)
    begins = size * np.arange(count + (rest >= _TRACE))
    if not count:
        raise DataSchemaError(
            f"{path}: headers announce traces of {samples} samples, more than the {len(data)} "
            "bytes behind them hold; correct bytes 3221 and 3222, or copy the file again"
        )
    told = np.stack([data[begins + 114], data[begins + 115]], axis=1).view(f"{order}u2").ravel()
    other = np.flatnonzero((told != samples) & (told != 0))
    if len(other):
        k = int(other[0])
        raise DataSchemaError(
            f"{path}: trace {k} has {told[k]} samples and the binary header says {samples}; traces "
            "of several lengths are not read: cut or pad them to one"
        )
    if rest:
        raise DataSchemaError(
            f"{path}: {rest} bytes follow {count} traces of {samples} samples, and a trace has "
            f"{size}; the file is cut short, copy it again"
        )
    return count
