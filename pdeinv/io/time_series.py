"""Observations of fixed stations at common times: ``featureType = "timeSeries"`` and its flat form.

Layout::

    dims           station, time
    u(station, time), u_sigma(station, time), u_qc(station, time)   as in the point layout
    x(station), y(station)                                          where, one per station
    time(time), or time(station, time)                              when, in the problem's units

The flat form has one entry per datum along ``obs``, the times of one station behind each other, and
the times in ``t``; that is what everything but the file sees.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError

__all__ = ["flattened", "gathered", "is_series"]

TIME = "time"


def is_series(dataset: xr.Dataset) -> bool:
    """Whether a dataset says that it holds time series."""
    return str(dataset.attrs.get("featureType", "")).lower() == "timeseries"


def _dims(dataset: xr.Dataset, name: str, path: Path) -> tuple[Hashable, Hashable]:
    """The station and the time dimension of the measured values."""
    if name not in dataset:
        raise DataSchemaError(
            f"{path}: variable '{name}' is missing; found {sorted(map(str, dataset.variables))}"
        )
    if TIME not in dataset.variables:
        raise DataSchemaError(
            f"{path}: a timeSeries file needs the times in variable 'time'; found "
            f"{sorted(map(str, dataset.variables))}"
        )
    if dataset[TIME].ndim == 0:
        raise DataSchemaError(f"{path}: 'time' must have a dimension, got a single number")
    time = dataset[TIME].dims[-1]
    stations = [d for d in dataset[name].dims if d != time]
    if dataset[name].ndim != 2 or len(stations) != 1:
        raise DataSchemaError(
            f"{path}: '{name}' must have the dimensions (station, {time}), got {dataset[name].dims}"
        )
    return stations[0], time


def flattened(dataset: xr.Dataset, name: str, path: Path) -> xr.Dataset:
    """The flat form of a dataset of time series.

    Args:
        dataset: as read.
        name: the measured quantity.
        path: named in errors.

    Raises:
        DataSchemaError: it does not follow the layout.
    """
    dims = _dims(dataset, name, path)
    shape = [dataset.sizes[d] for d in dims]
    flat: dict[str, xr.Variable] = {}
    for key, variable in dataset.variables.items():
        label = "t" if key == TIME else str(key)
        if not set(variable.dims) <= set(dims):
            flat[label] = variable
            continue
        if not np.issubdtype(variable.dtype, np.number):
            continue
        known = [d for d in dims if d in variable.dims]
        ordered = np.asarray(variable.transpose(*known))
        if known == [dims[0]]:
            ordered = ordered[:, None]
        flat[label] = xr.Variable("obs", np.broadcast_to(ordered, shape).ravel(), variable.attrs)
    return xr.Dataset(flat, attrs=dataset.attrs)


def gathered(flat: xr.Dataset) -> xr.Dataset:
    """A flat dataset in the timeSeries layout, where its data are all times of all stations.

    A dataset that has no times, or not this structure, is returned as it is.
    """
    if "t" not in flat.variables or any(set(v.dims) - {"obs"} for v in flat.variables.values()):
        return flat
    t = np.asarray(flat["t"])
    count = len(np.unique(t))
    if t.size % count or (np.diff(t.reshape(-1, count)[0]) <= 0).any():
        return flat
    places = [str(c) for c in flat.coords if c != "t"]
    columns = {name: np.asarray(flat[name]).reshape(-1, count) for name in (*places, "t")}
    fixed = all(bool((columns[c] == columns[c][:, :1]).all()) for c in places)
    if not (fixed and bool((columns["t"] == columns["t"][:1]).all())):
        return flat
    attrs = {name: flat[name].attrs for name in flat.variables}
    data = {
        str(name): xr.Variable(
            ("station", TIME), np.asarray(variable).reshape(-1, count), attrs[name]
        )
        for name, variable in flat.data_vars.items()
    }
    coords = {name: xr.Variable("station", columns[name][:, 0], attrs[name]) for name in places}
    coords[TIME] = xr.Variable(TIME, columns["t"][0], {**attrs["t"], "long_name": "time"})
    station = {"long_name": "number of the station", "cf_role": "timeseries_id", "units": "1"}
    coords["station"] = xr.Variable("station", np.arange(len(columns["t"])), station)
    return xr.Dataset(data, coords, {**flat.attrs, "featureType": "timeSeries"})
