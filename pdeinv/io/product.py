"""Observations numbered along several dimensions: one array over all of them, and its flat form.

Layout, for dimensions a, b, ... of the measured quantity (``Observed.dims``)::

    dims              a, b, ...
    u(a, b, ...), u_sigma(a, b, ...), u_qc(a, b, ...)    as in the point layout; NaN: not measured
    a(a), b(b), ...   their numbers, counted from 0 where missing

The flat form has one entry per measured datum along ``obs``; that is what everything but the file
sees. Other variables are left to the problem.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Observed

__all__ = ["flattened", "gathered"]


def flattened(dataset: xr.Dataset, observed: Observed, path: Path) -> xr.Dataset:
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
    if not np.issubdtype(value.dtype, np.number):
        raise DataSchemaError(f"{path}: '{name}' must hold numbers, got {value.dtype}")
    index = np.argwhere(np.isfinite(np.asarray(value.transpose(*dims))))
    if len(index) == 0:
        raise DataSchemaError(f"{path}: no usable datum of '{name}': all are missing")
    flat = {
        key: _column(dataset[key], dims, index)
        for key in (name, f"{name}_sigma", f"{name}_qc")
        if key in dataset and set(dataset[key].dims) <= set(dims)
    }
    for k, (dim, units) in enumerate((d, observed.coords[d]) for d in dims):
        given = dataset.variables.get(dim)
        attrs = {"units": units} if given is None else given.attrs
        numbers = np.arange(value.sizes[dim]) if given is None else np.asarray(given)
        flat[dim] = xr.Variable("obs", numbers[index[:, k]], attrs)
    return xr.Dataset(flat, attrs=dataset.attrs)


def _column(array: xr.DataArray, dims: tuple[str, ...], index: NDArray[np.int64]) -> xr.Variable:
    """The entries of an array over some of the dimensions, constant along the others."""
    own = [d for d in dims if d in array.dims]
    picked = tuple(index[:, dims.index(d)] for d in own)
    values = np.asarray(array.transpose(*own))
    column = values[picked] if own else np.full(len(index), values)
    return xr.Variable("obs", column, array.attrs)


def gathered(flat: xr.Dataset, observed: Observed) -> xr.Dataset:
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
        dim: xr.Variable(dim, numbers, {**flat[dim].attrs, "long_name": f"number of the {dim}"})
        for dim, (numbers, _) in zip(dims, columns, strict=True)
    }
    attrs = {k: v for k, v in flat.attrs.items() if k != "featureType"}
    return xr.Dataset(data, coords, attrs)
