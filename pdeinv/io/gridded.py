"""Fields of NetCDF files as functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from pdeinv.errors import DataSchemaError
from pdeinv.io.netcdf import read_dataset, read_tree
from pdeinv.io.quantities import check_units
from pdeinv.io.schema import check_numbers
from pdeinv.typing import Array

__all__ = ["GriddedField", "field_function"]


@dataclass(frozen=True)
class GriddedField:
    """Where a field on (y, x) is.

    Attributes:
        file: NetCDF.
        variable: its name.
        units: that it has to have, where it has any.
        coordinate: those of its places.
        group: of the file that holds it; the root where empty.
    """

    file: Path
    variable: str
    units: str
    coordinate: str
    group: str = ""


def field_function(source: GriddedField) -> Callable[[Array, Array], Array]:
    """The field as a function of x and y, bilinear between its nodes.

    Raises:
        DataSchemaError: the file or variable is missing, not on (y, x), in other units or not
            finite, or a coordinate repeats; at evaluation, a point lies outside the field's grid.
    """
    field = _field(source)
    name = source.variable
    axes = (_axis(field, "y", source), _axis(field, "x", source))
    values = np.asarray(field, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataSchemaError(f"{source.file}: '{name}' has values that are missing or not finite")
    interpolate = RegularGridInterpolator(axes, values)

    def function(x: Array, y: Array) -> Array:
        try:
            return np.asarray(
                interpolate(np.stack([_near(y, axes[0]), _near(x, axes[1])], axis=-1))
            )
        except ValueError:
            raise DataSchemaError(
                f"{source.file}: '{name}' covers x in [{axes[1][0]:g}, {axes[1][-1]:g}] and y in "
                f"[{axes[0][0]:g}, {axes[0][-1]:g}], less than the domain; extend the field"
            ) from None

    return function


def _near(values: Array, axis: Array) -> Array:
    """The values, those that lie beyond an end by rounding (of 32 bits) moved onto it."""
    slack = 1e-6 * (axis[-1] - axis[0])
    held = np.clip(values, axis[0], axis[-1])
    return np.where(np.abs(held - values) <= slack, held, values)


def _dataset(source: GriddedField) -> xr.Dataset:
    if not source.group:
        return read_dataset(source.file)
    tree = read_tree(source.file)
    if source.group not in tree.children:
        raise DataSchemaError(f"{source.file}: no group '{source.group}'")
    return tree[source.group].to_dataset()


def _field(source: GriddedField) -> xr.DataArray:
    """The variable over (y, x), with increasing coordinates."""
    dataset, name = _dataset(source), source.variable
    if name not in dataset or set(dataset[name].dims) != {"y", "x"}:
        there = ", ".join(map(str, dataset.data_vars)) or "none"
        found = f"it on ({', '.join(map(str, dataset[name].dims))})" if name in dataset else there
        raise DataSchemaError(
            f"{source.file}: expected variable '{name}' on dimensions (y, x), found {found}; write "
            "that field on a regular grid"
        )
    if "x" not in dataset.coords or "y" not in dataset.coords:
        raise DataSchemaError(f"{source.file}: coordinates x(x) and y(y) are missing")
    check_numbers(dataset[name], f"{source.file}: '{name}'")
    check_units(dataset[name], name, source.units, source.file, needed=False)
    return dataset[name].sortby(["x", "y"]).transpose("y", "x")


def _axis(field: xr.DataArray, name: str, source: GriddedField) -> Array:
    """A coordinate, which must be numbers that differ."""
    check_units(field[name], name, source.coordinate, source.file, needed=False)
    if field[name].dtype.kind not in "fiu":
        raise DataSchemaError(f"{source.file}: coordinate '{name}' must hold numbers")
    values = np.asarray(field[name], dtype=np.float64)
    bad = np.flatnonzero(~(np.diff(values) > 0))
    if len(bad) or len(values) < 2:
        what = f"repeats {values[bad[0]]:g}" if len(bad) else "has one value"
        what = what if np.isfinite(values).all() else "is not finite"
        raise DataSchemaError(
            f"{source.file}: coordinate '{name}' {what}; expected at least two numbers that differ"
        )
    return values
