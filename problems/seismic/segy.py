"""``pdeinv import seismic segy``: shot gathers as the field keeps them.

The places of shots and receivers come from the headers of traces. A receiver is a place: where the
spread moves with the shot, the array of all shots and all receivers is NaN where nothing was
measured, as it is for dead traces.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.config import Config, Finite, Positive
from pdeinv.errors import DataSchemaError
from pdeinv.io.segy import Traces, read_segy
from pdeinv.memory import check_fits
from pdeinv.typing import Array

from .gathers import Factor, gathers
from .segy_geometry import Axis, Geometry, scaled

__all__ = ["SegyOptions", "read"]

_LEAST = 2e-5
"""s; a shorter time between two samples was told in another unit."""
_LATE = 20.0
"""s; no survey waits longer for its first sample."""
_WAVES, _DEAD = (0, 1), (2, 3)
"""Kinds of traces in byte 29: of waves, dead or dummy; others are clocks, sweeps and the like."""


class SegyOptions(Config):
    """Flags of the format."""

    axis: Axis = Field(
        "x", description="coordinate along the section: x, y, or line, the line through all places"
    )
    units: Literal["m", "ft"] | None = Field(
        None, description="units of coordinates and elevations; told by the file if not given"
    )
    datum: Finite = Field(0.0, description="elevation at which the depth is 0, m")
    origin: Finite = Field(0.0, description="coordinate along the section where x is 0, m")
    record: Positive | None = Field(
        None, description="time between two samples, s; told by the file if not given"
    )
    delay: Finite | None = Field(
        None,
        description="time of the first sample since the wavelet began, s; told by the file if not "
        "given",
    )
    factor: Factor = 1.0
    units_of_u: str = Field("Pa", description="UDUNITS text of the values")
    noise_rms: Positive | None = Field(
        None, description="noise standard deviation as a part of the root mean square of the data"
    )


def read(source: Path, options: SegyOptions) -> xr.Dataset:
    """The observation file.

    Raises:
        DataSchemaError: no SEG-Y file, or one whose headers cannot be so.
        MissingDependency: segyio is not installed.
    """
    whole = read_segy(source)
    try:
        traces = _of_waves(whole)
        units = options.units or ""
        geometry = Geometry.of(traces, options.axis, units, options.datum, options.origin)
        record = _record(traces, options.record)
        times = _times(traces, record, options.delay)
        values = options.factor * _alive(traces)
        table = _table(geometry, values)
    except DataSchemaError as error:
        raise DataSchemaError(f"{source}: {error}") from None
    kept = times >= -1e-9 * record
    if not kept.any():
        raise DataSchemaError(
            f"{source}: all {len(times)} samples are before t = 0, at which the wavelet begins; "
            "give another --delay"
        )
    if not kept.all():
        _note(f"{int((~kept).sum())} samples before t = 0 are left out")
    places = geometry.sources, geometry.receivers
    found = gathers(table[:, :, kept], times[kept], places, options.units_of_u, options.noise_rms)
    return found.assign_attrs(segy_origin_m=options.origin, segy_datum_m=options.datum)


def _note(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def _of_waves(traces: Traces) -> Traces:
    """Without those of clocks, sweeps and the like."""
    kept = np.isin(traces.headers["kind"], (*_WAVES, *_DEAD))
    if not kept.any():
        raise DataSchemaError("no trace is of waves, by their kinds in byte 29 (1: seismic data)")
    if kept.all():
        return traces
    _note(f"{int((~kept).sum())} traces of other kinds than waves (byte 29) are left out")
    headers = {name: column[kept] for name, column in traces.headers.items()}
    return Traces(headers, traces.values[kept], traces.interval, traces.units)


def _record(traces: Traces, given: float | None) -> float:
    """Time between two samples, s."""
    if given is not None:
        return given
    told = traces.headers["interval"]
    told = np.where(told == 0, traces.interval, told) & 0xFFFF
    if (told != told[0]).any():
        k = int(np.flatnonzero(told != told[0])[0])
        raise DataSchemaError(
            f"traces 0 and {k} have samples every {told[0]} and {told[k]} microseconds; resample "
            "them, or give --record"
        )
    whole = traces.interval & 0xFFFF
    if whole not in (0, told[0]):
        raise DataSchemaError(
            f"traces have samples every {told[0]} microseconds (byte 117) and the file every "
            f"{whole} (byte 3217); give --record in s"
        )
    if told[0] == 0:
        raise DataSchemaError("no header says the time between two samples; give --record in s")
    if told[0] * 1e-6 < _LEAST:
        raise DataSchemaError(
            f"samples are {told[0]} microseconds apart; were milliseconds written for microseconds "
            "(bytes 117, 3217)? Give --record in s"
        )
    return float(told[0]) * 1e-6


def _times(traces: Traces, record: float, given: float | None) -> Array:
    """Those of the samples, s: whole multiples of ``record``."""
    first = given if given is not None else _delay(traces)
    length = record * traces.values.shape[1]
    if abs(first) > max(length, _LATE):
        _note(
            f"the first sample is at {first:g} s, and a trace lasts {length:g} s; if milliseconds "
            f"were meant give --delay {1e-3 * first:g}"
        )
    steps = first / record
    if abs(steps - round(steps)) > 1e-3:
        raise DataSchemaError(
            f"the first sample is at {first:g} s, which is no multiple of the {record:g} s between "
            "two; shift the traces, or give --delay"
        )
    numbers = round(steps) + np.arange(traces.values.shape[1])
    return np.array([float(f"{k * record:.12g}") for k in numbers])


def _delay(traces: Traces) -> float:
    found = 1e-3 * scaled(traces.headers["delay"], traces.headers["time_scalar"])
    if (found != found[0]).any():
        k = int(np.flatnonzero(found != found[0])[0])
        raise DataSchemaError(
            f"recording begins at {found[0]:g} s in trace 0 and at {found[k]:g} s in trace {k} "
            "(byte 109); shift them to one time"
        )
    return float(found[0])


def _alive(traces: Traces) -> Array:
    """The samples, NaN in dead traces."""
    values = traces.values.copy()
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise DataSchemaError(
            f"{bad.sum()} traces hold values that are not finite, the first is number "
            f"{np.flatnonzero(bad)[0]}; the file is damaged or has another format than it says"
        )
    flagged, silent = np.isin(traces.headers["kind"], _DEAD), ~values.any(axis=1)
    dead = flagged | silent
    if dead.all():
        raise DataSchemaError("all traces are zero or marked as dead")
    if dead.any():
        _note(
            f"{int(dead.sum())} of {len(dead)} traces are dead ({int(flagged.sum())} marked so, "
            "the others zero throughout) and count as not measured"
        )
    values[dead] = np.nan
    return values


def _table(geometry: Geometry, values: Array) -> Array:
    """(shot, receiver, time), NaN where nothing was measured."""
    shape = (len(geometry.sources), len(geometry.receivers), values.shape[1])
    size = 8 * int(np.prod(shape))
    check_fits(f"{shape[0]} shots at {shape[1]} receivers", 3 * size, "import fewer shots")
    found = np.full(shape, np.nan)
    found[geometry.shot, geometry.receiver] = values
    share = len(values) / (shape[0] * shape[1])
    if share < 1:
        _note(f"{share:.0%} of {shape[0]} shots x {shape[1]} receivers were recorded")
    return found
