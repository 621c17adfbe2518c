"""Where sources and receivers are, in results and observation files, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.quantities import check_units
from pdeinv.typing import Array

from .config import SeismicConfig
from .survey import COORDS

__all__ = ["WORDS", "annotated", "attributes_of", "fixtures", "tables_of"]

WORDS = {"shot": "source", "receiver": "receiver"}
AXES = {"x": "x coordinate", "y": "depth"}


def fixtures(config: SeismicConfig) -> xr.Dataset:
    """``source_x``, ``source_y``, ``receiver_x`` and ``receiver_y`` of the whole survey."""
    places = {"source": config.sources, "receiver": config.receivers}
    return xr.Dataset(
        {
            f"{name}_{axis}": (f"{name}_number", found[:, k], attributes_of(name, axis))
            for name, found in places.items()
            for k, axis in enumerate(AXES)
        }
    )


def attributes_of(name: str, axis: str) -> dict[str, str]:
    """Of the variable with one coordinate of all sources or receivers."""
    found = {"units": "m", "long_name": f"{AXES[axis]} of each {name}"}
    return found if axis == "x" else {**found, "positive": "down"}


def annotated(config: SeismicConfig, dataset: xr.Dataset) -> xr.Dataset:
    """An observation file with the places of its shots and receivers."""
    places, found = {"shot": config.sources, "receiver": config.receivers}, {}
    for dim, table in places.items():
        if dataset.get(dim, xr.DataArray(0)).dims != (dim,):
            return dataset
        numbers = np.asarray(dataset[dim]).astype(np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(table):
            return dataset  # as the reader of the data will say
        chosen = table[numbers]
        for k, axis in enumerate(AXES):
            name = f"{WORDS[dim]}_{axis}"
            found[name] = (dim, chosen[:, k], attributes_of(WORDS[dim], axis))
    return dataset.assign(found)


def tables_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The survey and the sampling that the variables of a file amount to; empty without them.

    Raises:
        DataSchemaError: places that are not one per shot or receiver, or times that are not even.
    """
    found: dict[str, Any] = {}
    survey = {
        f"{WORDS[dim]}s": _places(dataset, WORDS[dim], dim)
        for dim in COORDS[:2]
        if f"{WORDS[dim]}_x" in dataset
    }
    if survey:
        found["survey"] = survey
    if "time" in dataset and dataset["time"].dims == ("time",):
        found["time"] = _sampling(np.asarray(dataset["time"], dtype=np.float64))
    return found


def _places(dataset: xr.Dataset, name: str, dim: str) -> list[list[float]]:
    columns, source = [], dataset.encoding.get("source", "dataset")
    for axis in AXES:
        column = dataset.get(f"{name}_{axis}")
        if column is None or column.dims != (dim,):
            raise DataSchemaError(
                f"'{name}_{axis}': expected one number for each {dim}, over the dimension {dim}"
            )
        check_units(column, f"{name}_{axis}", "m", Path(source), needed=False)
        columns.append(np.asarray(column, dtype=np.float64))
        bad = np.flatnonzero(~np.isfinite(columns[-1]))
        if len(bad):
            raise DataSchemaError(
                f"{source}: '{name}_{axis}' of {dim} {bad[0]} is {columns[-1][bad[0]]}; every "
                f"{dim} needs a place"
            )
    return [[float(v) for v in row] for row in np.stack(columns, axis=1)]


def _sampling(t: Array) -> dict[str, float]:
    """Sample spacing and end of times that are whole multiples of it."""
    steps = np.diff(t)
    if len(t) < 2 or not (steps > 0).all() or np.ptp(steps) > 1e-3 * steps.mean():
        raise DataSchemaError(
            "'time': expected two or more times, increasing and equally far apart"
        )
    record = float(f"{steps.mean():.6g}")
    if abs(t[0] / record - round(t[0] / record)) > 1e-3:
        raise DataSchemaError(
            f"'time': the first time {t[0]:g} s is no multiple of the {record:g} s between two; "
            "count from the time at which the wavelet begins"
        )
    return {"record": record, "final": float(f"{t[-1]:.9g}")}
