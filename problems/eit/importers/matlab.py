"""MATLAB files: fields by name, with errors that say what a file has instead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import INFLATION, memory
from pdeinv.io.reading import parsed
from pdeinv.memory import size_of

from .frame import Frame, note_missing

__all__ = ["check_rows", "frame_of", "load", "matrix"]

Numbers = NDArray[Any]


SMALL = 1 << 26
"""Bytes that any field may declare, whatever the size of its file."""


def load(path: Path) -> Mapping[str, Any]:
    """The variables of a MATLAB file of version 4 to 7.2.

    Raises:
        DataSchemaError: missing, of version 7.3, or no MATLAB file.
    """
    from scipy.io import loadmat, whosmat

    def refusal(kind: str) -> DataSchemaError:
        return DataSchemaError(f"{path} is no MATLAB file, or is damaged ({kind})")

    if not path.exists():
        raise DataSchemaError(f"no such file: {path}")
    with parsed(path, refusal):
        try:
            _check_declared(whosmat(path, appendmat=False), path)
            found = loadmat(path, appendmat=False)
        except NotImplementedError:
            raise DataSchemaError(
                f"{path} is a MATLAB 7.3 file; save it again with save(..., '-v7')"
            ) from None
    return {k: v for k, v in found.items() if not k.startswith("__")}


def _check_declared(variables: Sequence[tuple[str, tuple[int, ...], str]], path: Path) -> None:
    """Refuse variables that declare more than the file can hold.

    Raises:
        DataSchemaError: names the first.
    """
    stored = path.stat().st_size
    room = min(memory(), max(SMALL, INFLATION * stored))
    for name, shape, _ in variables:
        declared = 8 * math.prod(int(n) for n in shape)
        if not 0 <= declared <= room:
            raise DataSchemaError(
                f"{path}: field '{name}' declares {size_of(abs(declared))}, which a file of "
                f"{size_of(stored)} cannot hold; save it again"
            )


def matrix(fields: Mapping[str, Any], names: Sequence[str], path: Path) -> Numbers:
    """The first of the named fields that the file has, as a matrix of numbers.

    Raises:
        DataSchemaError: none of them is there, or it holds no numbers.
    """
    name = next((n for n in names if n in fields), None)
    if name is None:
        wanted = " or ".join(f"'{n}'" for n in names)
        raise DataSchemaError(
            f"{path}: field {wanted} is missing; the file has {', '.join(sorted(fields)) or 'none'}"
        )
    value = fields[name]
    if hasattr(value, "toarray"):
        _check_declared([(name, value.shape, "sparse")], path)
        value = value.toarray()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiucb" or value.ndim != 2:
        raise DataSchemaError(f"{path}: field '{name}' must be a matrix of numbers")
    kind = complex if value.dtype.kind == "c" else float
    return np.asarray(value, dtype=kind)


def frame_of(
    drives: Numbers, pattern: Numbers, voltage: Numbers, kept: NDArray[np.bool_], path: Path
) -> Frame:
    """A frame of patterns in columns and voltages, measurements behind each other.

    Args:
        drives: currents, shape (n_electrode, n_injection).
        pattern: weights, shape (n_electrode, n_measurement).
        voltage: (n_measurement, n_injection) numbers, or a vector of them by injection, which may
            hold those of ``kept`` alone.
        kept: which are to be used, shape (n_injection, n_measurement).
        path: for messages.

    Raises:
        DataSchemaError: shapes that do not fit, or a voltage in use that is infinite.
    """
    check_rows(drives, pattern, path)
    table = _voltages(voltage, (drives.shape[1], pattern.shape[1]), kept, path)
    bad = np.argwhere(kept & np.isinf(table))
    if len(bad):
        raise DataSchemaError(
            f"{path}: {len(bad)} voltages are not finite, the first at measurement "
            f"{bad[0][1] + 1} of injection {bad[0][0] + 1}; remove them with --level, or correct "
            "the file"
        )
    note_missing(table[kept], str(path))
    table = np.where(kept, table, np.nan)
    return Frame(drives.T.real, pattern.T.real, table, source=str(path))


def check_rows(drives: Numbers, pattern: Numbers, path: Path) -> None:
    """Refuse patterns without electrodes, or of different numbers of them.

    Raises:
        DataSchemaError: names both.
    """
    if pattern.shape[0] != drives.shape[0]:
        raise DataSchemaError(
            f"{path}: currents for {drives.shape[0]} electrodes, but measurements for "
            f"{pattern.shape[0]}; expected one row for each electrode in both"
        )
    if 0 in (*drives.shape, *pattern.shape):
        raise DataSchemaError(f"{path}: the currents or the measurements are empty")


def _voltages(
    voltage: Numbers, shape: tuple[int, int], kept: NDArray[np.bool_], path: Path
) -> Numbers:
    """As (n_injection, n_measurement)."""
    injections, measurements = shape
    if voltage.shape == (measurements, injections) and 1 not in shape:
        return voltage.T
    if 1 in voltage.shape and voltage.size == injections * measurements:
        return voltage.reshape(shape)
    if 1 in voltage.shape and voltage.size == kept.sum():
        table = np.full(shape, np.nan, dtype=voltage.dtype)
        table[kept] = voltage.ravel()
        return table
    only = f" or the {kept.sum()} in use" if not kept.all() else ""
    raise DataSchemaError(
        f"{path}: {voltage.shape[0]} x {voltage.shape[1]} voltages for {injections} injections of "
        f"{measurements} measurements; expected {measurements} x {injections}, or a column of "
        f"{injections * measurements}{only}"
    )
