"""Data at places, apart by what they are of: regions that were seen or not, and quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pdeinv.io.body import CELL
from pdeinv.model.sensors import AXES
from pdeinv.typing import Array

__all__ = ["Sample", "at_last", "kinds_of", "of_zeros_and_ones", "samples_of"]

NEAR = 1e-6
"""Coordinates are the same that differ by less than this part of their range."""
SPARSE = 0.2
"""Places that fill less than this part of the grid which they span are drawn as dots."""
MOST = 4_000_000
"""Cells of the largest grid that data are put on."""


@dataclass(frozen=True)
class Sample:
    """Data of one kind and one time.

    Attributes:
        name: of the kind.
        time: when, and its units; None where the data have none.
        places: columns x, y and maybe z, (n, d).
        values: (n,).
        seen: whether they are zeros and ones of a likelihood of such.
        units: of the places.
    """

    name: str
    time: tuple[float, str] | None
    places: Array
    values: Array
    seen: bool
    units: str

    @property
    def when(self) -> str:
        """The time in words."""
        return "" if self.time is None else f"time {self.time[0]:.3g} {self.time[1]}"

    @property
    def grid(self) -> xr.DataArray | None:
        """On the cells of a grid over (z,) y, x, NaN where there are none; None of dots."""
        steps = [_numbered(column) for column in self.places.T]
        if any(step is None for step in steps):
            return None
        found = [step for step in steps if step is not None]
        counts = [len(axis) for axis, _ in found]
        total = int(np.prod(counts))
        if total > MOST or len(self.values) < SPARSE * total:
            return None
        values = np.full(counts[::-1], np.nan)
        values[tuple(index for _, index in found[::-1])] = self.values
        axes = AXES[: len(found)]
        attrs = {"units": self.units, "location": CELL}
        coords = {a: (a, axis, attrs) for a, (axis, _) in zip(axes, found, strict=True)}
        return xr.DataArray(values, coords, axes[::-1], self.name, {"units": "1"})


def _numbered(column: Array) -> tuple[Array, np.ndarray[tuple[int], np.dtype[np.int64]]] | None:
    """Equally spaced values that hold those of a column, and its places among them."""
    slack = NEAR * float(np.ptp(column))
    values = np.unique(column)
    values = values[np.append(True, np.diff(values) > slack)]
    if len(values) < 2:
        return None
    step = float(np.diff(values).min())
    index = np.rint((column - values[0]) / step).astype(np.int64)
    axis = values[0] + step * np.arange(int(index.max()) + 1)
    near = np.abs(axis[index] - column) <= 1e-3 * step
    return (axis, index) if bool(near.all()) else None


def kinds_of(dataset: xr.Dataset) -> tuple[str, Mapping[float, str]] | None:
    """The coordinate that tells kinds of data apart with what its numbers mean; None without."""
    for name, coord in dataset.variables.items():
        words = str(coord.attrs.get("flag_meanings", "")).split()
        values = np.atleast_1d(coord.attrs.get("flag_values", [])).astype(np.float64).tolist()
        if words and len(words) == len(values):
            return str(name), dict(zip(values, words, strict=True))
    return None


def samples_of(dataset: xr.Dataset, value: xr.DataArray) -> list[Sample]:
    """Data by time and kind, in this order.

    Args:
        dataset: holds coordinates x and y, maybe z, a time and kinds, over dims of the data.
        value: the data, over one dim, or over a time as well.
    """
    columns = _columns(dataset, value)
    told = kinds_of(dataset)
    kind = np.zeros(value.size) if told is None else columns[told[0]]
    when = next((c for c in ("t", "time") if c in columns), None)
    times = np.zeros(value.size) if when is None else columns[when]
    axes = [a for a in AXES if a in columns]
    units = {c: str(dataset[c].attrs.get("units", "")) for c in (*axes, *([when] if when else []))}
    flat = np.asarray(value, dtype=np.float64).ravel()
    found = []
    for t in np.unique(times):
        for k in np.unique(kind):
            own = (times == t) & (kind == k) & np.isfinite(flat)
            if own.any():
                seen = of_zeros_and_ones(xr.DataArray(flat[own], attrs=value.attrs))
                name = "" if told is None else told[1].get(float(k), f"{told[0]} {k:g}")
                time = None if when is None else (float(t), units[when])
                places = np.stack([columns[a][own] for a in axes], axis=1)
                found.append(Sample(name, time, places, flat[own], seen, units[axes[0]]))
    return found


def _columns(dataset: xr.Dataset, value: xr.DataArray) -> dict[str, Array]:
    """Every numbered variable along the data's dims, repeated for each datum."""
    like = xr.DataArray(np.empty(value.shape), dims=value.dims)
    found = {}
    for name, variable in dataset.variables.items():
        if variable.ndim and set(variable.dims) <= set(value.dims) and variable.dtype.kind in "fi":
            whole = xr.DataArray(variable).broadcast_like(like).transpose(*value.dims)
            found[str(name)] = np.asarray(whole, dtype=np.float64).ravel()
    return found


def of_zeros_and_ones(value: xr.DataArray) -> bool:
    """Whether data have a likelihood of zeros and ones, and are such."""
    law = str(value.attrs.get("likelihood", ""))
    said = any(name in law for name in ("bernoulli", "dice"))
    return said and bool(np.isin(value, (0.0, 1.0)).all())


def at_last(samples: list[Sample]) -> list[Sample]:
    """Those of the last time."""
    last = max((s.time[0] for s in samples if s.time is not None), default=0.0)
    return [s for s in samples if s.time is None or s.time[0] == last]
