"""Places of sources and receivers out of the headers of SEG-Y traces.

Coordinates and elevations are whole numbers with scalars: a positive one multiplies, a negative one
divides. Sources lie ``source_depth`` below ``source_elevation``, receivers at their elevation.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.io.segy import Traces
from pdeinv.typing import Array

__all__ = ["Axis", "Geometry", "scaled"]

Axis = Literal["x", "y", "line"]
Ints = NDArray[np.int64]

_METRES = {"m": 1.0, "ft": 0.3048}
_WIDEST = 1e6
"""m; no section is wider."""
_NEAR = 0.01
"""m, to which places are told apart."""
_ASIDE = 0.02
"""Part of the length of a line by which places may lie beside it unmentioned."""


@dataclass(frozen=True)
class Geometry:
    """Where each trace was shot and recorded.

    Attributes:
        shot: number of the shot of each trace, shape (traces,).
        receiver: number of its receiver.
        sources: places x, y of shots in m, y downwards, shape (shots, 2).
        receivers: of receivers, along x.
    """

    shot: Ints
    receiver: Ints
    sources: Array
    receivers: Array

    @classmethod
    def of(cls, traces: Traces, axis: Axis, units: str, datum: float, origin: float) -> Geometry:
        """That of traces.

        Args:
            traces: of a file.
            axis: along which the section runs: a coordinate, or the line through all places.
            units: of places, m or ft; those of the file where empty.
            datum: elevation of y = 0, m.
            origin: coordinate of x = 0, m.

        Raises:
            DataSchemaError: places that are missing, contradict each other or cannot be.
        """
        metres = _METRES[units or traces.units or "m"]
        if not (units or traces.units):
            _note("the file does not say whether places are in metres or feet; metres are taken")
        if not units and traces.units == "ft":
            _note("places are in feet (byte 3255) and become metres; if not so, give --units m")
        along = _along(traces, metres, axis)
        depths = _depths(traces, metres, datum)
        _check_origin(along, origin)
        source, receiver = (
            np.stack([a - origin, d], axis=1) for a, d in zip(along, depths, strict=True)
        )
        shot, sources = _shots(traces.headers["record"], source)
        at, receivers = _distinct(receiver)
        _check_once(shot, at, receivers)
        return cls(shot, at, sources, receivers)


def _check_origin(along: tuple[Array, Array], origin: float) -> None:
    """The section begins at x = 0, with the survey not far from there."""
    low, high = min(a.min() for a in along), max(a.max() for a in along)
    if low < origin or low - origin > high - low:
        raise DataSchemaError(
            f"places along the section go from {low:.9g} to {high:.9g} m and x = 0 is at "
            f"{origin:g} m; give --origin, the coordinate where the section begins, at most "
            f"{low:.9g} and less than {high - low:.6g} before it"
        )


def _note(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def scaled(values: Ints, scalar: Ints) -> Array:
    """Whole numbers times a positive scalar, or divided by a negative one; 0 counts as 1."""
    size = np.where(scalar == 0, 1.0, np.abs(scalar).astype(np.float64))
    return np.where(scalar < 0, values / size, values * size)


def _along(traces: Traces, metres: float, axis: Axis) -> tuple[Array, Array]:
    """Positions of source and receiver of each trace along the section, m."""
    headers = traces.headers
    bad = np.flatnonzero(headers["coordinate_units"] > 1)
    if len(bad):
        raise DataSchemaError(
            f"trace {bad[0]}: coordinates are angles (units {headers['coordinate_units'][bad[0]]} "
            "in byte 89), expected lengths; project them first"
        )
    places = [
        np.stack(
            [metres * scaled(headers[f"{of}_{k}"], headers["coordinate_scalar"]) for k in "xy"]
        )
        for of in ("source", "receiver")
    ]
    every = np.concatenate(places, axis=1)
    middle, direction = every.mean(axis=1, keepdims=True), _direction(every, axis)
    if axis == "line":
        off = direction[::-1] * [-1, 1] @ (every - middle)
        if np.abs(off).max() > _ASIDE * np.ptp(direction @ every):
            _note(f"places lie up to {np.abs(off).max():.3g} m beside the line")
    found = [direction @ p for p in places]
    return found[0], found[1]


def _direction(places: Array, axis: Axis) -> Array:
    """The unit vector along the section."""
    spans = np.ptp(places, axis=1)
    if spans.max() == 0:
        raise DataSchemaError(
            "missing geometry: all sources and receivers have the same coordinates in bytes 73 to "
            "88 of the trace headers; write them there first"
        )
    if spans.max() > _WIDEST:
        raise DataSchemaError(
            f"sources and receivers are spread over {spans.max():.3g} m, expected at most "
            f"{_WIDEST:g} m; correct the scalar of coordinates (byte 71) or their units (--units)"
        )
    if axis == "line":
        found = np.linalg.svd(places - places.mean(axis=1, keepdims=True))[0][:, 0]
        return np.asarray(found * np.sign(found[np.argmax(np.abs(found))]))
    own, other = spans if axis == "x" else spans[::-1]
    if other > _ASIDE * own:
        raise DataSchemaError(
            f"coordinates spread over {spans[0]:.4g} m along x and {spans[1]:.4g} m along y; a "
            f"section along {axis} has one line: give --axis {'y' if axis == 'x' else 'x'} or line"
        )
    return np.array([1.0, 0.0]) if axis == "x" else np.array([0.0, 1.0])


def _depths(traces: Traces, metres: float, datum: float) -> tuple[Array, Array]:
    """Depths of source and receiver of each trace below the datum, m."""
    headers = traces.headers
    names = ("source_elevation", "source_depth", "receiver_elevation")
    top, down, at = (metres * scaled(headers[n], headers["elevation_scalar"]) for n in names)
    if (down < 0).any():
        k = int(np.flatnonzero(down < 0)[0])
        raise DataSchemaError(
            f"trace {k}: depth of the source {down[k]:g} m in byte 49, expected no negative "
            "number; depths go downwards: turn the sign"
        )
    found = datum - top + down, datum - at
    for what, depth in zip(("source", "receiver"), found, strict=True):
        if (depth < -1e-9).any():
            k = int(depth.argmin())
            raise DataSchemaError(
                f"trace {k}: its {what} lies {-depth[k]:g} m above the datum {datum:g} m; give "
                f"--datum {datum - depth[k]:g}, or turn the sign if elevations are depths"
            )
    return np.maximum(found[0], 0.0), np.maximum(found[1], 0.0)


def _shots(record: Ints, source: Array) -> tuple[Ints, Array]:
    """Number of the shot of each trace, by field record or else by place, and the places."""
    numbers, first, at = np.unique(record, return_index=True, return_inverse=True)
    if len(numbers) == 1:
        return _distinct(source)
    moved = np.abs(source - source[first[at]]).max(axis=1) > _NEAR
    if moved.any():
        k = int(np.flatnonzero(moved)[0])
        raise DataSchemaError(
            f"field record {record[k]}: its source is at x = {source[first[at[k]], 0]:.6g} m in "
            f"trace {first[at[k]]} and at {source[k, 0]:.6g} m in trace {k}; give each shot a "
            "number (byte 9)"
        )
    return at.ravel(), source[first]


def _distinct(places: Array) -> tuple[Ints, Array]:
    """Number of each place, and the places, along x."""
    rounded = np.rint(places / _NEAR).astype(np.int64)
    _, first, at = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    return at.ravel(), places[first]


def _check_once(shot: Ints, receiver: Ints, receivers: Array) -> None:
    pairs = np.stack([shot, receiver], axis=1)
    _, first, at = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[at.ravel()] != np.arange(len(pairs)))
    if len(again):
        k = int(again[0])
        raise DataSchemaError(
            f"traces {first[at.ravel()[k]]} and {k} are both of shot {shot[k]} and the receiver at "
            f"x = {receivers[receiver[k], 0]:.6g} m; keep or stack one, or give each shot a number "
            "(byte 9)"
        )
