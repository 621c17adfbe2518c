"""Which flat parts of an array to draw: a few maps over x and y, or a few lines over x."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr

from pdeinv.io.fields import INSIDE
from pdeinv.jobs.plot.panels import axis_name

__all__ = [
    "first_experiment",
    "is_line",
    "is_map",
    "last",
    "layers",
    "masked",
    "part_of",
    "series",
    "slices",
]

View = tuple[xr.DataArray, str]
"""A part that can be drawn, and what tells it from the other parts (or nothing)."""

PLACES = ("x", "y", "z")
MAX_SLICES = 3


def _axes(array: xr.DataArray) -> list[str]:
    """The space coordinates that vary along the array."""
    return [c for c in PLACES if c in array.coords and array[c].ndim == 1]


def is_map(array: xr.DataArray) -> bool:
    """Whether the array is a field over x and y: on a grid, or on nodes that carry both."""
    return _axes(array) == ["x", "y"]


def is_line(array: xr.DataArray) -> bool:
    """Whether the array runs over one coordinate: x, time or an axis of its own."""
    return array.ndim >= 1 and _along(array) is not None


def _along(array: xr.DataArray) -> str | None:
    axes = _axes(array)
    if len(axes) > 1:
        return None
    if axes:
        return str(array[axes[0]].dims[0])
    last = str(array.dims[-1])
    return last if last in array.coords else None


def slices(array: xr.DataArray) -> list[View]:
    """At most three parts of a field that are plain maps or lines, evenly spread over the rest."""
    keep = {str(d) for c in ("x", "y") if c in _axes(array) for d in array[c].dims}
    keep = keep or {str(_along(array))}
    rest = [str(d) for d in array.dims if d not in keep]
    if not rest:
        return [(array, "")]
    shape = tuple(array.sizes[d] for d in rest)
    total = int(np.prod(shape))
    chosen = np.unique(np.linspace(0, total - 1, min(MAX_SLICES, total)).round().astype(int))
    views = []
    for k in chosen:
        index = {d: int(i) for d, i in zip(rest, np.unravel_index(int(k), shape), strict=True)}
        names = [_named(array, d, i) for d, i in index.items() if array.sizes[d] > 1]
        views.append((array.isel(index), ", ".join(names)))
    return views


def last(array: xr.DataArray) -> View:
    """The last entry along every dim that no space coordinate runs along, and which it is."""
    space = {str(d) for c in _axes(array) for d in array[c].dims}
    rest = [str(d) for d in array.dims if d not in space]
    names = [_named(array, d, -1) for d in rest if array.sizes[d] > 1]
    return array.isel(dict.fromkeys(rest, -1)), ", ".join(names)


def masked(array: xr.DataArray, dataset: xr.Dataset) -> xr.DataArray:
    """The array with NaN outside the body, where the dataset has a variable that tells.

    Args:
        array: an unknown, or its mean or standard deviation.
        dataset: may hold ``NAME_inside`` on the array's own grid.
    """
    name = str(array.name).removesuffix("_mean").removesuffix("_sd")
    mask = dataset.get(f"{name}{INSIDE}")
    fits = mask is not None and all(
        d in array.dims and array[d].size == n and np.array_equal(array[d], mask[d])
        for d, n in mask.sizes.items()
    )
    return array.where(mask == 1) if fits and mask is not None else array


def part_of(name: str, value: float) -> str:
    """A value of a coordinate in words."""
    if name == "component" and value in (0, 1):
        return ("real part", "imaginary part")[int(value)]
    return f"{name} {value:.3g}"


def _named(array: xr.DataArray, dim: str, i: int) -> str:
    """A place along a dim, in its units where it has a coordinate."""
    if dim not in array.coords:
        return f"{dim} {range(array.sizes[dim])[i]}"
    units = str(array[dim].attrs.get("units", ""))
    name = axis_name(array[dim])
    return f"{name} {float(array[dim][i]):.3g} {units if units != '1' else ''}".strip()


def first_experiment(dataset: xr.Dataset, dim: str) -> tuple[xr.Dataset, str]:
    """The data that share the first datum's coordinates other than place, and those coordinates.

    Several experiments measure at the same places: sources, frequencies, parts of a complex number.
    """
    others = [
        str(c) for c in dataset.coords if dataset[c].dims == (dim,) and c != dim and c not in PLACES
    ]
    differs = [c for c in others if (dataset[c] != dataset[c][0]).any()]
    same = np.ones(dataset.sizes[dim], dtype=bool)
    for name in differs:
        same &= np.asarray(dataset[name] == dataset[name][0])
    texts = [part_of(c, float(dataset[c][0])) for c in differs]
    n = len(np.unique([dataset[c] for c in differs], axis=1).T) if differs else 1
    texts += [f"1 of {n} experiments"] if n > 1 else []
    return dataset.isel({dim: np.flatnonzero(same)}), ", ".join(texts)


def layers(dataset: xr.Dataset) -> list[tuple[xr.Dataset, str]]:
    """Data in space by their height: those of each z, or of three slabs where there are many."""
    if "z" not in dataset.variables or len(np.unique(dataset["z"])) == 1:
        return [(dataset, "")]
    z = np.asarray(dataset["z"])
    (dim,) = dataset["z"].dims
    units = str(dataset["z"].attrs.get("units", ""))
    levels = np.unique(z)
    if len(levels) > MAX_SLICES:
        levels = np.linspace(z.min(), z.max(), MAX_SLICES + 1)
        which = np.clip(np.searchsorted(levels, z, side="right") - 1, 0, MAX_SLICES - 1)
        texts = [f"z {a:.3g} to {b:.3g} {units}".strip() for a, b in pairwise(levels)]
    else:
        which = np.searchsorted(levels, z)
        texts = [f"z = {level:.3g} {units}".strip() for level in levels]
    parts = [np.flatnonzero(which == k) for k in range(len(texts))]
    return [(dataset.isel({dim: p}), t) for p, t in zip(parts, texts, strict=True) if len(p)]


def series(
    dataset: xr.Dataset, dim: str, along: str | None = None
) -> tuple[str | None, list[tuple[xr.Dataset, str]]]:
    """Data that no map holds, as lines: what they run over, and the parts that share the rest.

    They run over ``along``, else over the coordinate with the most values, or over their number
    where there is none.
    """
    varies = {
        str(c): np.unique(dataset[c])
        for c in dataset.coords
        if dataset[c].dims == (dim,) and c != dim
    }
    along = along or max(varies, key=lambda c: len(varies[c]), default=None)
    others = [c for c, values in varies.items() if c != along and len(values) > 1]
    if not others:
        return along, [(dataset, "")]
    groups, which = np.unique([dataset[c] for c in others], axis=1, return_inverse=True)
    return along, [
        (
            dataset.isel({dim: np.flatnonzero(np.ravel(which) == k)}),
            ", ".join(_value_of(dataset[c], v) for c, v in zip(others, group, strict=True)),
        )
        for k, group in enumerate(groups.T)
    ]


def _value_of(coord: xr.DataArray, value: float) -> str:
    units = str(coord.attrs.get("units", "1"))
    return part_of(axis_name(coord), float(value)) + ("" if units == "1" else f" {units}")
