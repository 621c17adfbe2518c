"""Observations that a file holds as tables, and their flat form.

Fixed stations at common times, ``featureType = "timeSeries"``::

    dims           station, time
    u(station, time), u_sigma(station, time), u_qc(station, time)   as in the point layout
    x(station), y(station)                                          where, one per station
    time(time), or time(station, time)                              when, in the problem's units

Data that are numbered along several dimensions a, b, ... (``Observed.dims``)::

    dims              a, b, ...
    u(a, b, ...), u_sigma(a, b, ...), u_qc(a, b, ...)    as in the point layout; NaN: not measured
    a(a), b(b), ...   their numbers, counted from 0 where missing

The flat form has one entry per datum along ``obs``, the times of one station behind each other, and
the times in ``t``; that is what everything but the file sees. Other variables of an array are left
to the problem.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.io.flags import flag_names
from pdeinv.io.schema import Column, check, check_numbers
from pdeinv.model.observed import Observed

__all__ = [
    "flattened_array",
    "flattened_series",
    "gathered_array",
    "gathered_series",
    "is_series",
]

TIME = "time"


def is_series(dataset: xr.Dataset) -> bool:
    """Whether a dataset says that it holds time series."""
    return str(dataset.attrs.get("featureType", "")).lower() == "timeseries"


def _series_dims(dataset: xr.Dataset, name: str, path: Path) -> tuple[Hashable, Hashable]:
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


def flattened_series(dataset: xr.Dataset, name: str, path: Path) -> xr.Dataset:
    """The flat form of a dataset of time series.

    Args:
        dataset: as read.
        name: the measured quantity.
        path: named in errors.

    Raises:
        DataSchemaError: it does not follow the layout.
    """
    dims = _series_dims(dataset, name, path)
    _check_beside(dataset, name, dims, path)
    shape = [dataset.sizes[d] for d in dims]
    cov = f"{name}_cov"
    flat: dict[str, xr.Variable] = {}
    for key, variable in dataset.variables.items():
        label = "t" if key == TIME else str(key)
        if key == cov:
            order = _file_order(dataset[name], dims)
            flat[label] = _in_order(variable, order, len(order), path, cov)
            continue
        if not set(variable.dims) <= set(dims):
            if "obs" not in variable.dims:
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


def _check_beside(dataset: xr.Dataset, name: str, dims: Sequence[Hashable], path: Path) -> None:
    """Noise and flags lie over the dimensions of the values, or it is not known which is whose.

    Raises:
        DataSchemaError: one lies over others.
    """
    for key in (f"{name}_sigma", *flag_names(dataset, name)):
        if key in dataset and not set(dataset[key].dims) <= set(dims):
            raise DataSchemaError(
                f"{path}: '{key}' must have the dimensions of '{name}', "
                f"({', '.join(map(str, dims))}), got {dataset[key].dims}"
            )


def _file_order(value: xr.DataArray, dims: Sequence[Hashable]) -> NDArray[np.int64]:
    """Where each entry, in the order of ``dims``, stands in the order of the file."""
    places = np.arange(value.size).reshape(value.shape)
    axes = [value.dims.index(d) for d in dims]
    return np.asarray(places.transpose(axes).ravel(), dtype=np.int64)


def _in_order(
    variable: xr.Variable, order: NDArray[np.int64], size: int, path: Path, name: str
) -> xr.Variable:
    """A covariance with its rows and columns in another order.

    Args:
        variable: over ``size`` values as the file has them, row by row, twice.
        order: which of these each datum is.
        size: their number.
        path: named in errors.
        name: likewise.

    Raises:
        DataSchemaError: it is no square of that size.
    """
    if variable.shape != (size, size):
        raise DataSchemaError(
            f"{path}: '{name}' must be {size} x {size} numbers, in the order of the values in the "
            f"file, got {variable.shape}"
        )
    return xr.Variable(("obs", "obs_2"), np.asarray(variable)[np.ix_(order, order)], variable.attrs)


def gathered_series(flat: xr.Dataset) -> xr.Dataset:
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


def flattened_array(dataset: xr.Dataset, observed: Observed, path: Path) -> xr.Dataset:
    """The flat form of a dataset; one that is flat already is returned as it is.

    Args:
        dataset: as read.
        observed: the measured quantity with its dimensions.
        path: named in errors.

    Raises:
        DataSchemaError: it does not follow the layout.
    """
    name, dims = observed.name, observed.dims
    if name not in dataset or dataset[name].dims == ("obs",):
        return dataset
    value = dataset[name]
    if set(value.dims) != set(dims):
        raise DataSchemaError(
            f"{path}: '{name}' must have the dimensions ({', '.join(dims)}), got {value.dims}"
        )
    check_numbers(value, f"{path}: '{name}'")
    index = np.argwhere(~np.isnan(np.asarray(value.transpose(*dims))))
    if len(index) == 0:
        raise DataSchemaError(f"{path}: no usable datum of '{name}': all are missing")
    _check_beside(dataset, name, dims, path)
    flat = {
        key: _entries(dataset[key], dims, index)
        for key in (name, f"{name}_sigma", *flag_names(dataset, name))
        if key in dataset
    }
    cov = f"{name}_cov"
    if cov in dataset:
        flat[cov] = _picked(dataset.variables[cov], value, dims, index, path)
    for k, (dim, units) in enumerate((d, observed.coords[d]) for d in dims):
        given = dataset.variables.get(dim)
        if given is not None:
            check(dataset, {dim: Column((dim,))}, str(path))
        attrs = {"units": units} if given is None else given.attrs
        numbers = np.arange(value.sizes[dim]) if given is None else np.asarray(given)
        flat[dim] = xr.Variable("obs", numbers[index[:, k]], attrs)
    return xr.Dataset(flat, attrs=dataset.attrs)


def _picked(
    covariance: xr.Variable,
    value: xr.DataArray,
    dims: tuple[str, ...],
    index: NDArray[np.int64],
    path: Path,
) -> xr.Variable:
    """The covariance of the entries at ``index``; the file's may leave out those that are NaN."""
    shape = [value.sizes[d] for d in dims]
    order = _file_order(value, dims)[np.ravel_multi_index(tuple(index.T), shape)]
    size = value.size
    if covariance.shape != (size, size):
        order, size = np.argsort(np.argsort(order)), len(order)
    return _in_order(covariance, order, size, path, f"{value.name}_cov")


def _entries(array: xr.DataArray, dims: tuple[str, ...], index: NDArray[np.int64]) -> xr.Variable:
    """The entries of an array over some of the dimensions, constant along the others."""
    own = [d for d in dims if d in array.dims]
    picked = tuple(index[:, dims.index(d)] for d in own)
    values = np.asarray(array.transpose(*own))
    column = values[picked] if own else np.full(len(index), values)
    return xr.Variable("obs", column, array.attrs)


def _labels(dim: str) -> dict[str, str]:
    """What an axis of the data is: numbers, or times."""
    if dim == TIME:
        return {"long_name": "time", "axis": "T"}
    return {"long_name": f"number of the {dim}"}


def gathered_array(flat: xr.Dataset, observed: Observed) -> xr.Dataset:
    """A flat dataset as arrays over the dimensions, NaN between the data.

    A dataset with a full covariance, or with two data of one place, is returned as it is.
    """
    dims, n = observed.dims, flat.sizes["obs"]
    columns = [np.unique(np.asarray(flat[d]), return_inverse=True) for d in dims]
    shape = tuple(len(numbers) for numbers, _ in columns)
    place = np.ravel_multi_index([where.ravel() for _, where in columns], shape)
    if "obs_2" in flat.dims or len(np.unique(place)) < n:
        return flat
    data = {}
    for key, variable in flat.data_vars.items():
        values = np.full(int(np.prod(shape)), np.nan)
        values[place] = np.asarray(variable, dtype=np.float64)
        data[str(key)] = xr.Variable(dims, values.reshape(shape), variable.attrs)
    coords = {
        dim: xr.Variable(dim, numbers, {**flat[dim].attrs, **_labels(dim)})
        for dim, (numbers, _) in zip(dims, columns, strict=True)
    }
    attrs = {k: v for k, v in flat.attrs.items() if k != "featureType"}
    return xr.Dataset(data, coords, attrs)
