"""An unknown out of a file: by names, coordinates and units, whatever the order of its axes."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError, ShapeError
from pdeinv.io.schema import check_numbers
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["unknown_in"]

_PLACES = ("x", "y", "z", "t")

_NEAR = 1e-6
"""How far a coordinate may be off, by the length of its axis: files may hold 32-bit numbers."""


def unknown_in(
    dataset: xr.Dataset, space: Space, *, bare: bool = False, filed: bool = True
) -> Array:
    """The flat unknown (*lead, size) of a dataset that may come from elsewhere.

    Rows and columns may stand in any order, from north to south for instance: coordinates tell.

    Args:
        dataset: holds every variable of the space, perhaps over leading dimensions.
        space: of the unknown.
        bare: whether coordinates may be missing; the entries then stand in the order of the space.
        filed: whether it was read from a file, which has to say the units of the unknown; variables
            in memory lose them in arithmetic.

    Raises:
        DataSchemaError: a variable is missing, has other units or none, or lies on another grid.
        ShapeError: a variable has another shape.
    """
    found = xr.Dataset({v.name: _aligned(dataset, v, bare) for v in space.variables})
    for wanted in space.variables if filed else ():
        if "units" not in found[wanted.name].attrs:
            raise DataSchemaError(
                f"variable '{wanted.name}' has no units attribute; expected '{wanted.units}'"
            )
    return space.pack(found)


def _aligned(dataset: xr.Dataset, wanted: Variable, bare: bool) -> xr.DataArray:
    if wanted.name not in dataset:
        raise ShapeError(f"variable '{wanted.name}' is missing; found {list(dataset)}")
    found = dataset[wanted.name]
    lost = [d for d in wanted.dims if d not in found.dims]
    if lost:
        raise DataSchemaError(
            f"variable '{wanted.name}' has the dimensions ({', '.join(map(str, found.dims))}), "
            f"expected ({', '.join(wanted.dims)}); rename them"
        )
    check_numbers(found, f"variable '{wanted.name}'")
    _check_units(found.attrs.get("units"), wanted.units, f"variable '{wanted.name}'")
    for name, (dims, values) in wanted.coords.items():
        if len(dims) > 1 or not _is_number(values):
            continue
        _check_there(found, name, dims[0], bare)
        if name in found.coords:
            units = wanted.coord_attrs.get(name, {}).get("units")
            found = _along(found, name, dims[0], values, units)
    return found.drop_vars([c for c in found.coords if c not in found.dims])


def _is_number(values: Array) -> bool:
    return np.asarray(values).dtype.kind in "fiu"


def _check_units(got: object, wanted: str | None, what: str) -> None:
    if wanted is not None and got is not None and str(got).strip() != wanted:
        raise DataSchemaError(
            f"{what} has units '{got}', the problem works in '{wanted}'; convert it"
        )


def _check_there(found: xr.DataArray, name: str, dim: Hashable, bare: bool) -> None:
    """Refuse a variable of places without their coordinate."""
    if name in _PLACES and name not in found.coords and not bare:
        raise DataSchemaError(
            f"coordinate '{name}' of variable '{found.name}' is missing, so that the order along "
            f"'{dim}' is not known; add it"
        )


def _along(
    found: xr.DataArray, name: str, dim: Hashable, wanted: Array, units: str | None
) -> xr.DataArray:
    """The variable with its entries along one dimension where the coordinate wants them."""
    what = f"coordinate '{name}' of variable '{found.name}'"
    given = found.coords[name]
    if given.dims != (dim,) or given.dtype.kind not in "fiu":
        raise DataSchemaError(f"{what} must be numbers along '{dim}'")
    _check_units(given.attrs.get("units"), units, what)
    values = np.asarray(given, dtype=np.float64)
    if len(values) != len(wanted):
        raise ShapeError(
            f"variable '{found.name}': expected {len(wanted)} entries along '{dim}', "
            f"got {len(values)}; interpolate it to the grid of the unknown"
        )
    order = _order(values, np.asarray(wanted, dtype=np.float64), what, turn=name == dim)
    return found.isel({dim: order})


def _order(values: Array, wanted: Array, what: str, *, turn: bool) -> NDArray[np.int64]:
    """Which entry of ``values`` is each of ``wanted``; in one order unless they may ``turn``."""
    slack = _NEAR * float(np.ptp(wanted) or np.abs(wanted).max())
    if np.allclose(values, wanted, rtol=0, atol=slack):
        return np.arange(len(wanted))
    order = np.arange(len(wanted))
    if turn:
        order[np.argsort(wanted, kind="stable")] = np.argsort(values, kind="stable")
    if not np.allclose(values[order], wanted, rtol=0, atol=slack):
        raise DataSchemaError(
            f"{what} runs from {values.min():g} to {values.max():g}, expected the grid from "
            f"{wanted.min():g} to {wanted.max():g}; it is of another grid: interpolate it"
        )
    return order
