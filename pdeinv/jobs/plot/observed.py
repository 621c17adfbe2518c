"""Panels of an observation file: where it was measured, or over what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.gathers import gather_panels, is_gather
from pdeinv.jobs.plot.kinds import parted_kinds
from pdeinv.jobs.plot.lines import line_panel, series_panel
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import (
    Panel,
    colour_scale,
    joined,
    places_panel,
    sensor_panel,
    title_of,
    units_of,
)
from pdeinv.jobs.plot.regions import kind_panels
from pdeinv.jobs.plot.samples import kinds_of, of_zeros_and_ones, samples_of
from pdeinv.jobs.plot.slices import first_experiment, layers, part_of, series

__all__ = ["observation_panels"]

MAX_RECORDS = 6


def observation_panels(dataset: xr.Dataset) -> list[Panel]:
    """All panels of an observation file, quantity by quantity."""
    return [p for part in parted_kinds(dataset) or [dataset] for p in _quantity_panels(part)]


def _quantity_panels(dataset: xr.Dataset) -> list[Panel]:
    name = next((str(v) for v in dataset.data_vars if f"{v}_sigma" in dataset), None)
    if name is None:
        name = str(next(iter(dataset.data_vars)))
    value, in_plane = dataset[name], {"x", "y"} <= set(dataset.variables)
    if in_plane and (kinds_of(dataset) or of_zeros_and_ones(value)):
        return kind_panels(samples_of(dataset, value))
    if value.ndim == 2 and value.sizes.get("time") == 1:  # a picture says more than single dots
        return _quantity_panels(dataset.isel(time=0))
    if value.ndim == 1:
        return _point_panels(dataset, name) if in_plane else [_series_panel(dataset, name)]
    return [*_records(dataset, value), *_places(dataset)]


def _records(dataset: xr.Dataset, value: xr.DataArray) -> list[Panel]:
    """Records of stations, one panel for each part of a last axis; gathers of shots."""
    if is_gather(value):
        return gather_panels(value, title_of(value))
    if value.ndim == 2:
        return _station_panels(dataset, value)
    last = str(value.dims[-1])
    parts = [value.isel({last: k}).drop_vars(last) for k in range(value.sizes[last])]
    tables = [(v, part_of(last, k)) for k, v in enumerate(parts)]
    return [p for v, text in tables for p in _station_panels(dataset, v, text)]


def _point_panels(dataset: xr.Dataset, name: str) -> list[Panel]:
    """Values at places of one experiment, and their noise where it differs."""
    shown, experiment = first_experiment(dataset, str(dataset[name].dims[0]))
    value, sigma = shown[name], shown.get(f"{name}_sigma")
    title = joined(title_of(value), experiment)
    if sigma is None:
        return _sensor_panels(shown, value, title)
    if float(sigma.min()) == float(sigma.max()):
        noise = f"noise sd {float(sigma[0]):.3g} {units_of(sigma)}".strip()
        return _sensor_panels(shown, value, joined(title, noise))
    panels = _sensor_panels(shown, value, title)
    return [*panels, *_sensor_panels(shown, sigma, "noise standard deviation", "magma")]


def _sensor_panels(
    dataset: xr.Dataset, values: xr.DataArray, title: str, cmap: str = "viridis"
) -> list[Panel]:
    """A panel, or several of one scale by height, so that no place hides another."""
    scale = colour_scale(values)
    whole = dataset.assign(shown=values.variable)
    return [
        sensor_panel(part, part["shown"], joined(title, text), cmap, scale)
        for part, text in layers(whole)
    ]


def _series_panel(dataset: xr.Dataset, name: str) -> Panel:
    """Data of an interval, or of no place: all of one run, or a few of many runs."""
    value = dataset[name]
    along, parts = series(dataset, str(value.dims[0]))
    few = _few(len(parts))
    title = title_of(value)
    title = title if len(few) == len(parts) else f"{title}, {len(few)} of {len(parts)} series"
    return series_panel([parts[k] for k in few], name, along, title)


def _few(n: int) -> list[int]:
    return [int(k) for k in np.unique(np.linspace(0, n - 1, min(MAX_RECORDS, n)).round())]


def _station_panels(dataset: xr.Dataset, value: xr.DataArray, part: str = "") -> list[Panel]:
    """Records of a few stations (or injections) over time, and the last values on a map."""
    station = str(value.dims[0])
    n = value.sizes[station]
    few = _few(n)
    records = value.drop_vars(["x", "y", "z"], errors="ignore")
    lines = [(records.isel({station: k}), f"{station} {k}") for k in few]
    title = joined(title_of(value), part)
    title = title if len(few) == n else f"{title}, {len(few)} of {n} {station}s"
    panels = [line_panel(lines, title)]
    if {"x", "y"} <= set(dataset.variables):
        panels += _sensor_panels(dataset, value[:, -1], f"{title_of(value)}, last time")
    return panels


def _places(dataset: xr.Dataset) -> list[Panel]:
    """Where the electrodes are, if the file says so."""
    overlay = overlay_of(dataset)
    if overlay.electrodes is None:
        return []
    return [places_panel(dataset, replace(overlay, sensors=None), "electrodes")]
