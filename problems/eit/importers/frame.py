"""One frame of measurements, whatever its format was, and the observation file that it becomes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.typing import Array

from ..frames.files import Measured, to_dataset
from ..frames.objections import objection
from .instrument import Electrodes, Instrument, electrodes

__all__ = ["Frame", "note_missing", "to_observations"]

Numbers = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """Voltages of one frame with the patterns that they belong to.

    Attributes:
        current: A into each electrode, shape (n_injection, n_electrode).
        pattern: weight of each electrode's potential, shape (n_measurement, n_electrode).
        voltage: V, shape (n_injection, n_measurement), real or complex, NaN where not measured.
        sigma: their noise standard deviation, same shape, where the file has it.
        source: the file, for messages.
    """

    current: Array
    pattern: Array
    voltage: Numbers
    sigma: Array | None = None
    source: str = ""

    def compact(self) -> Frame:
        """Without injections and measurements that have no voltage at all."""
        good = np.isfinite(self.voltage)
        rows, columns = good.any(axis=1), good.any(axis=0)
        kept = np.ix_(rows, columns)
        return replace(
            self,
            current=self.current[rows],
            pattern=self.pattern[columns],
            voltage=self.voltage[kept],
            sigma=None if self.sigma is None else self.sigma[kept],
        )


def _check(frame: Frame) -> None:
    """Refuse drives and measurements that no instrument makes."""
    for name, table, what in (
        ("injection", frame.current, "currents"),
        ("measurement", frame.pattern, "weights"),
    ):
        if not np.isfinite(table).all():
            k = int(np.argmin(np.isfinite(table).all(axis=1)))
            raise DataSchemaError(f"{frame.source}: {name} {k + 1}: the {what} are not finite")
        size, total = np.abs(table).max(axis=1), np.abs(table.sum(axis=1))
        bad = np.flatnonzero((size == 0) | (total > 1e-6 * size))
        if len(bad):
            k = int(bad[0])
            got = f"sum to {table[k].sum():g}" if size[k] else "are all zero"
            raise DataSchemaError(
                f"{frame.source}: the {what} of {name} {k + 1} {got}; expected them to sum to "
                "zero, with some that are not; are rows and columns swapped?"
            )
    if not np.isfinite(frame.voltage).any():
        raise DataSchemaError(f"{frame.source}: holds no voltage; expected at least one")


def _check_complex(frame: Frame, options: Instrument) -> None:
    if np.iscomplexobj(frame.voltage) and options.frequency is None:
        raise ConfigError(f"{frame.source} holds complex voltages; pass --frequency (Hz)")


def note_missing(voltage: Numbers, source: str) -> None:
    """Tell how many of the voltages that a file lists count as not measured."""
    missing = int(np.isnan(voltage).sum())
    if missing:
        warnings.warn(
            f"{Path(source).name}: {missing} of {voltage.size} voltages are NaN and count as not "
            "measured",
            UserWarning,
            stacklevel=2,
        )


def to_observations(
    frame: Frame, options: Instrument, reference: Frame | None = None
) -> xr.Dataset:
    """The observation file of a frame.

    A frame whose order or signs reciprocity refutes gives a warning that says what it looks like.

    Raises:
        DataSchemaError: impossible patterns, or a reference frame of other patterns.
        ConfigError: the electrodes' places are missing or impossible.
    """
    _check(frame)
    _check_complex(frame, options)
    frame = frame.compact()
    where = electrodes(options, frame.current.shape[1])
    frame = replace(frame, sigma=_noise(frame, options))
    _warn(frame, where)
    base = None
    if reference is not None:
        _check(reference)
        base = _aligned(reference, frame)
        _say_reference(options)
        _warn(replace(frame, voltage=base, source=reference.source), where)
    return _dataset(frame, options, where, base)


def _say_reference(options: Instrument) -> None:
    """Tell what differences are taken to refer to, where nothing says it."""
    lacks = [
        f"{what} of the reference frame not given, {taken} is taken; pass --reference-{what}"
        for what, given, taken in (
            ("conductivity", options.reference_conductivity, "1 S m-1"),
            ("permittivity", options.reference_permittivity, "that of the body, if it is known,"),
        )
        if given is None and (what == "conductivity" or options.frequency is not None)
    ]
    for text in lacks:
        warnings.warn(text, UserWarning, stacklevel=3)


def _warn(frame: Frame, where: Electrodes) -> None:
    std = 0.0 if frame.sigma is None else float(np.sqrt(np.nanmean(frame.sigma**2)))
    table = (frame.current, frame.pattern, frame.voltage)
    text = objection(*table, where.places, noise_std=std)
    if text is not None:
        warnings.warn(f"{Path(frame.source).name}: {text}", UserWarning, stacklevel=2)


def _aligned(reference: Frame, frame: Frame) -> Numbers:
    """The reference's voltages for the frame's injections and measurements."""
    rows = [_row(reference.current, c, "injection", reference.source) for c in frame.current]
    columns = [_row(reference.pattern, p, "measurement", reference.source) for p in frame.pattern]
    voltage = reference.voltage[np.ix_(rows, columns)]
    lost = np.isfinite(frame.voltage) & ~np.isfinite(voltage)
    if lost.any():
        i, m = (int(a[0]) for a in np.nonzero(lost))
        raise DataSchemaError(
            f"{reference.source}: the reference has no voltage for measurement {m + 1} of "
            f"injection {i + 1}, which {frame.source} has"
        )
    return np.asarray(np.where(np.isfinite(frame.voltage), voltage, np.nan))


def _row(table: Array, wanted: Array, name: str, source: str) -> int:
    if table.shape[1] != len(wanted):
        raise DataSchemaError(
            f"{source}: the reference has {table.shape[1]} electrodes, the frame {len(wanted)}"
        )
    distance = np.abs(table - wanted).max(axis=1)
    k = int(np.argmin(distance))
    if distance[k] > 1e-6 * np.abs(wanted).max():
        between = " and ".join(str(e + 1) for e in np.flatnonzero(wanted))
        raise DataSchemaError(
            f"{source}: the reference lacks the {name} between electrodes {between} (counted from "
            "1); take both frames with the same patterns and currents"
        )
    return k


def _noise(frame: Frame, options: Instrument) -> Array | None:
    """The noise standard deviation that flags or the file give, for each voltage."""
    if options.noise_std is None and options.noise_rel is None:
        return frame.sigma
    std = options.noise_std
    if std is None:
        std = float(options.noise_rel or 0) * float(np.nanmax(np.abs(frame.voltage)))
    return np.where(np.isfinite(frame.voltage), std, np.nan)


def _dataset(
    frame: Frame, options: Instrument, where: Electrodes, base: Numbers | None
) -> xr.Dataset:
    measured = Measured(
        frame.voltage,
        frame.current,
        frame.pattern,
        positions=where.places,
        widths=where.width,
        impedance=where.contact_impedance,
        sigma=frame.sigma,
        reference=base,
    )
    dataset: xr.Dataset = to_dataset(measured, config=options.problem())
    return dataset
