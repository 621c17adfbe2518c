"""Observations of several quantities in one file, and their flat form.

Each quantity (:class:`pdeinv.model.observed.Kind`) is a variable of its own, with its units::

    dims             obs, or one for each quantity
    T(obs), T_sigma(obs), T_qc(obs), u(obs), u_sigma(obs), ...   as in the point layout
    x(obs), ...      coordinates of the quantities; a number where all data share it

NaN means not measured. The flat form has one entry per datum: the number of its kind in a
coordinate, the value over the scale of the kind, and zero for coordinates that the kind has not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.flags import unflagged
from pdeinv.io.quantities import check_units, column, multiplier
from pdeinv.io.schema import check_numbers
from pdeinv.model.observed import Kind, Observed
from pdeinv.typing import Array

__all__ = ["flattened_kinds", "gathered_kinds", "kind_attrs", "kinds_in"]


TABLE = "pdeinv_kinds"


def kind_attrs(observed: Observed) -> dict[str, str]:
    """Attributes of the coordinate that numbers kinds, by which a result shows them."""
    table = [asdict(kind) for kind in observed.kinds]
    return {"long_name": "kind of the datum", TABLE: json.dumps(table)}


def kinds_in(numbers: xr.DataArray) -> tuple[Kind, ...]:
    """The kinds that such attributes describe; none where there are no such attributes."""
    table = json.loads(str(numbers.attrs.get(TABLE, "[]")))
    return tuple(Kind(**{**kind, "coords": tuple(kind["coords"])}) for kind in table)


def flattened_kinds(
    dataset: xr.Dataset, observed: Observed, path: Path, *, noise: bool = True
) -> xr.Dataset:
    """The flat form of a dataset; one that is flat already is returned as it is.

    Args:
        dataset: as read.
        observed: the quantities.
        path: named in errors.
        noise: whether the file has to say it.

    Raises:
        DataSchemaError: it does not follow the layout.
    """
    if observed.name in dataset:
        return dataset
    present = [(n, kind) for n, kind in enumerate(observed.kinds) if kind.name in dataset]
    if not present:
        wanted = ", ".join(f"'{kind.name}'" for kind in observed.kinds)
        raise DataSchemaError(
            f"{path}: expected at least one of the variables {wanted}; found "
            f"{sorted(map(str, dataset.variables))}"
        )
    parts = [_of_kind(dataset, observed, n, path, noise=noise) for n, _ in present]
    units = {observed.name: observed.units, f"{observed.name}_sigma": observed.units}
    units |= observed.coords
    flat = {
        name: xr.Variable("obs", np.concatenate([p[name] for p in parts]), {"units": units[name]})
        for name in units
        if all(name in p for p in parts)
    }
    return xr.Dataset(flat, attrs=dataset.attrs)


def _of_kind(
    dataset: xr.Dataset, observed: Observed, number: int, path: Path, *, noise: bool
) -> dict[str, Array]:
    """The columns of one kind: its data, those that are flagged as NaN among them.

    Rows of other kinds, where this one is NaN, are no data of it, whatever their flags say.
    """
    kind = observed.kinds[number]
    values = column(dataset, kind.name, kind.units, path)
    bad = ~unflagged(dataset, kind.name, path)
    there = ~np.isnan(values)
    out = {observed.name: np.where(bad, np.nan, values)[there] / kind.scale}
    for name, units in observed.coords.items():
        out[name] = (
            _coordinate(dataset, kind, (name, units), path)[there]
            if name in kind.coords
            else np.full(int(there.sum()), number if name == observed.kind else 0.0)
        )
    sigma = _sigma(dataset, kind, path, needed=noise)
    if sigma is not None:
        out[f"{observed.name}_sigma"] = sigma[there] / kind.scale
    return out


def _coordinate(dataset: xr.Dataset, kind: Kind, named: tuple[str, str], path: Path) -> Array:
    """A coordinate at every entry of a kind, which may be one number for all."""
    (name, units), value = named, dataset[kind.name]
    if name in dataset.variables and dataset[name].ndim == 0:
        check_numbers(dataset[name], f"{path}: '{name}'")
        check_units(dataset[name], name, units, path)
        return np.full(value.size, float(dataset[name]))
    found = column(dataset, name, units, path)
    if dataset[name].dims != value.dims:
        raise DataSchemaError(
            f"{path}: '{name}' must have the dimension of '{kind.name}', {value.dims[0]}, got "
            f"{dataset[name].dims[0]}"
        )
    return found


def _sigma(dataset: xr.Dataset, kind: Kind, path: Path, *, needed: bool) -> Array | None:
    """The noise of a kind; None where there is none and it is not needed."""
    name = f"{kind.name}_sigma"
    if needed and f"{kind.name}_cov" in dataset:
        raise DataSchemaError(
            f"{path}: data of several quantities have no '{kind.name}_cov'; give '{name}'"
        )
    if name not in dataset:
        if needed:
            raise DataSchemaError(
                f"{path}: no noise given for '{kind.name}'; add a variable '{name}' or pass "
                "--noise-rel (relative to the largest value of each quantity)"
            )
        return None
    found = column(dataset, name, kind.units, path, dataset[kind.name].size)
    found = found / multiplier(dataset[name], path)
    good = ~np.isnan(np.asarray(dataset[kind.name], dtype=np.float64))
    bad = np.flatnonzero(good & unflagged(dataset, kind.name, path) & ~(found > 0))
    if needed and len(bad):
        raise DataSchemaError(
            f"{path}: '{name}' must be positive and finite at every good datum; datum {bad[0]} has "
            f"{found[bad[0]]:g}; correct it, or make the datum NaN to leave it out"
        )
    return found


def gathered_kinds(flat: xr.Dataset, observed: Observed) -> xr.Dataset:
    """A flat dataset as a table with one row for what was measured at one place.

    A dataset with a full covariance, or with a likelihood of its own, is returned as it is.
    """
    sigma = f"{observed.name}_sigma"
    if "obs_2" in flat.dims or sigma not in flat:
        return flat
    numbers = observed.numbers({observed.kind: np.asarray(flat[observed.kind])})
    assert numbers is not None
    rows = _rows(flat, observed, numbers.tolist())
    count = max(rows) + 1
    data, used = dict[str, xr.Variable](), set[str]()
    for number, kind in enumerate(observed.kinds):
        own = np.flatnonzero(numbers == number)
        if not len(own):
            continue
        used |= set(kind.coords)
        for name, source in ((kind.name, observed.name), (f"{kind.name}_sigma", sigma)):
            column = np.full(count, np.nan)
            column[[rows[i] for i in own]] = np.asarray(flat[source])[own] * kind.scale
            data[name] = xr.Variable("obs", column, _labels(kind, name, flat[source].attrs))
    coords = {
        name: xr.Variable("obs", _placed(flat, observed, name, rows), flat[name].attrs)
        for name in observed.coords
        if name in used
    }
    return xr.Dataset(data, coords, flat.attrs)


def _rows(flat: xr.Dataset, observed: Observed, numbers: list[int]) -> list[int]:
    """The row of each datum: that of its place, and of how often it was measured there before."""
    columns = {name: np.asarray(flat[name]).tolist() for name in observed.coords}
    row_of: dict[object, int] = {}
    times: dict[object, int] = {}
    found = []
    for i, number in enumerate(numbers):
        own = observed.kinds[number].coords
        place = tuple((name, columns[name][i]) for name in own)
        again = times.get((place, number), 0)
        times[place, number] = again + 1
        found.append(row_of.setdefault((place, again), len(row_of)))
    return found


def _placed(flat: xr.Dataset, observed: Observed, name: str, rows: list[int]) -> Array:
    """A coordinate of each row, NaN where its kinds have none."""
    out = np.full(max(rows) + 1, np.nan)
    values, numbers = np.asarray(flat[name]), np.asarray(flat[observed.kind]).astype(int)
    for i, row in enumerate(rows):
        if name in observed.kinds[numbers[i]].coords:
            out[row] = values[i]
    return out


def _labels(kind: Kind, name: str, attrs: Mapping[str, object]) -> dict[str, object]:
    """The attributes of a column of the table."""
    if name == kind.name:
        return {
            "units": kind.units,
            "long_name": kind.long_name,
            "ancillary_variables": f"{name}_sigma",
        }
    return {
        **attrs,
        "units": kind.units,
        "long_name": f"noise standard deviation of {kind.long_name}",
    }
