"""A vector of voltages in the order of pyEIT's protocols.

Injections run over ``dist_exc`` and over the source electrode a = 0 … L − 1, with sink a + dist.
Within one, m runs over 0 … L − 1, or from a on where the measurements rotate, and the voltage is
u_n − u_m with n = m + step. Measurements on a driven electrode are left out unless
``meas_current`` is set. All numbers are modulo L; the current of an injection is 1 A in pyEIT.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.npy import read_npy
from pdeinv.plugins.problem import Importer
from pdeinv.text_table import read_text
from pdeinv.typing import Array

from .frame import Frame, note_missing, to_observations
from .instrument import Instrument, Positive

__all__ = ["PYEIT", "PyeitOptions", "order"]

Parser = Literal["std", "no_rotate_meas", "rotate_meas", "fmmu", "meas_current"]


class PyeitOptions(Instrument):
    """Flags of the format, named as in pyEIT's ``protocol.create``."""

    REFUSED: ClassVar[str] = (
        "a vector does not say where pyEIT's mesh has its electrodes (those of mesh.create begin "
        "at 180 degrees and go round cw), and a wrong guess turns or mirrors the picture"
    )
    SHARE: ClassVar[float] = 0.1  # those of pyEIT are points

    electrodes: int = Field(16, ge=3, description="pyEIT's n_el")
    dist_exc: tuple[int, ...] = Field(
        (1,), min_length=1, description="electrodes from source to sink; repeatable"
    )
    step_meas: int = Field(1, ge=1, description="electrodes between those measured")
    parser_meas: tuple[Parser, ...] = Field(
        ("std",), min_length=1, description="std, rotate_meas or fmmu, meas_current; repeatable"
    )
    amplitude: Positive = Field(1.0, description="of the current")
    frame: int = Field(0, ge=0, description="row of the file, counted from 0")
    reference_frame: int | None = Field(
        None,
        ge=0,
        description="row of the reference's file, or of the frame's own where there is no other",
    )


def _read(source: Path, options: PyeitOptions) -> xr.Dataset:
    frame = _frame(source, options, options.frame)
    return to_observations(frame, options, _reference(source, options))


PYEIT = Importer(
    "Voltage vector in pyEIT's order: a .npy file, or text with one frame a line.",
    PyeitOptions,
    _read,
)


def order(options: PyeitOptions) -> Iterator[tuple[int, int, int]]:
    """Injection, source-ward electrode m and n of each voltage u_n − u_m, in pyEIT's order."""
    count = options.electrodes
    rotate = bool({"rotate_meas", "fmmu"} & set(options.parser_meas))
    on_driven = "meas_current" in options.parser_meas
    for i, (a, b) in enumerate(_injections(options)):
        for k in range(count):
            m = (k + a) % count if rotate else k
            n = (m + options.step_meas) % count
            if on_driven or not {a, b} & {m, n}:
                yield i, m, n


def _injections(options: PyeitOptions) -> list[tuple[int, int]]:
    count = options.electrodes
    return [(a, (a + d) % count) for d in options.dist_exc for a in range(count)]


def _reference(source: Path, options: PyeitOptions) -> Frame | None:
    """The frame that differences are taken from; the only row of its file needs no number."""
    path, row = options.reference or source, options.reference_frame
    if options.reference is None and row is None:
        return None
    count = len(_rows(path))
    if row is None and count > 1:
        raise ConfigError(
            f"{path} holds {count} frames; pass --reference-frame, 0 to {count - 1}, for the one "
            "that differences are taken from"
        )
    return _frame(path, options, row or 0)


def _frame(source: Path, options: PyeitOptions, number: int) -> Frame:
    places, injections, count = list(order(options)), _injections(options), options.electrodes
    values = options.volt * _vector(source, number, len(places))
    voltage = np.full((len(injections), count), np.nan, dtype=values.dtype)
    i, m, _ = np.array(places).T
    voltage[i, m] = values
    current = np.zeros((len(injections), count))
    size = options.ampere * options.amplitude
    for k, (a, b) in enumerate(injections):
        current[k, a], current[k, b] = size, -size
    pattern = np.roll(np.eye(count), options.step_meas, axis=1) - np.eye(count)
    return Frame(current, pattern, voltage, source=str(source))


def _vector(source: Path, row: int, size: int) -> Array:
    """Frame ``row`` of a file, real or complex."""
    table = _rows(source)
    if row >= len(table):
        raise DataSchemaError(f"{source}: there is no frame {row}; the file has {len(table)}")
    if table.shape[1] != size:
        raise DataSchemaError(
            f"{source}: {table.shape[1]} voltages, the protocol has {size}; check --electrodes, "
            "--dist-exc, --step-meas and --parser-meas"
        )
    values = table[row]
    bad = np.flatnonzero(np.isinf(values))
    if len(bad):
        raise DataSchemaError(f"{source}: voltage {bad[0] + 1} is not finite ({values[bad[0]]})")
    note_missing(values, str(source))
    return np.asarray(values)


def _rows(source: Path) -> Array:
    """All frames of a file, one a row."""
    table = _load(source)
    table = table.reshape(1, -1) if table.ndim == 1 or table.shape[-1] == 1 else table
    if table.ndim != 2:
        raise DataSchemaError(
            f"{source}: expected a vector, or one row a frame, got {table.ndim}-D"
        )
    return table


def _load(source: Path) -> Array:
    if source.suffix == ".npy":
        table = read_npy(source, "voltages", "fiuc")
        return np.array(table, dtype=complex if table.dtype.kind == "c" else float)
    text = read_text(source)
    if ";" in text or "\t" in text:  # else commas stand between the numbers
        text = text.replace(",", ".")
    rows = [
        line.replace(",", " ").replace(";", " ").split()
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not rows or len({len(row) for row in rows}) > 1:
        raise DataSchemaError(f"{source}: expected the same number of voltages in every line")
    try:
        table = np.array([[complex(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise DataSchemaError(f"{source}: {error}; expected numbers alone") from None
    return table if np.iscomplexobj(table) and table.imag.any() else np.asarray(table.real)
