"""Values that a NetCDF file means as missing, beyond the fill values that xarray knows.

Two conventions: what was never written holds the default fill value of its type (NetCDF manual;
not for bytes), and what lies outside ``valid_range``, ``valid_min`` or ``valid_max`` is missing
(CF 2.5.1). Both are stated in packed numbers where a variable is packed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError

__all__ = ["UNREAD", "masked", "missing"]

UNREAD = "pdeinv_unread"
"""In the encoding of a variable whose values stay in the file: why."""

Flags = NDArray[np.bool_]


def masked(dataset: xr.Dataset) -> xr.Dataset:
    """A decoded dataset in memory with NaN where values are missing.

    Raises:
        DataSchemaError: a range that is no range.
    """
    found = {name: missing(str(name), v) for name, v in dataset.variables.items()}
    holes = {name: m for name, m in found.items() if m is not None and m.any()}
    if not holes:
        return dataset
    new = {name: _with_holes(dataset.variables[name], m) for name, m in holes.items()}
    coords = {k: v for k, v in new.items() if k in dataset.coords}
    return dataset.assign({k: v for k, v in new.items() if k not in coords}).assign_coords(coords)


def _with_holes(variable: xr.Variable, mask: Flags) -> xr.Variable:
    values = np.where(mask, np.nan, np.asarray(variable.values, dtype=np.float64))
    return xr.Variable(variable.dims, values, variable.attrs)


def missing(name: str, variable: xr.Variable) -> Flags | None:
    """Which entries of a decoded variable are missing; None where it holds no numbers.

    Raises:
        DataSchemaError: a range that is no range.
    """
    if variable.dtype.kind not in "fiu" or UNREAD in variable.encoding:
        return None
    values = np.asarray(variable.values)
    out = _unwritten(values, variable.encoding)
    low, high = _bounds(name, variable, values)
    with np.errstate(invalid="ignore"):
        return np.asarray(out | (values < low) | (values > high))


def _stored(encoding: Any, values: NDArray[Any]) -> np.dtype[Any]:
    kind: np.dtype[Any] = np.dtype(encoding.get("dtype", values.dtype))
    return kind


def _packing(encoding: Any) -> tuple[float, float]:
    """Scale and offset from packed to real numbers."""
    return float(encoding.get("scale_factor", 1.0)), float(encoding.get("add_offset", 0.0))


def _unwritten(values: NDArray[Any], encoding: Any) -> Flags:
    """Where the default fill value of the stored type stands, if no other is named."""
    from netCDF4 import default_fillvals

    kind = _stored(encoding, values)
    if "_FillValue" in encoding or kind.itemsize == 1 or kind.str[1:] not in default_fillvals:
        return np.zeros(values.shape, dtype=bool)
    fill = float(default_fillvals[kind.str[1:]])
    scale, offset = _packing(encoding)
    if (scale, offset) == (1.0, 0.0):
        return np.asarray(values == np.asarray(default_fillvals[kind.str[1:]], dtype=kind))
    step = 0.5 if kind.kind in "iu" else 1e-6 * abs(fill)
    return np.asarray(np.abs((values.astype(np.float64) - offset) / scale - fill) < step)


def _bounds(name: str, variable: xr.Variable, values: NDArray[Any]) -> tuple[Any, Any]:
    """The lowest and highest valid value, in real numbers and in the type of the values."""
    attrs = variable.attrs
    whole = attrs.get("valid_range")
    pair = [attrs.get("valid_min", -np.inf), attrs.get("valid_max", np.inf)]
    given = np.array([np.nan]) if any(map(np.ndim, pair)) else np.asarray(pair)
    given = given if whole is None else np.asarray(whole)
    if given.shape != (2,) or given.dtype.kind not in "fiu" or np.isnan(given).any():
        raise DataSchemaError(
            f"'{name}': valid_range must be two numbers, valid_min and valid_max one each; got "
            f"{given.tolist()}"
        )
    bounds = given.astype(np.float64)
    scale, offset = _packing(variable.encoding)
    packed = _stored(variable.encoding, values).kind in "iu" and (scale, offset) != (1.0, 0.0)
    if packed and _whole(attrs):
        # half a step of slack: packed numbers are whole, their images are rounded
        bounds = np.sort((bounds + np.array([-0.5, 0.5])) * scale + offset)
    return tuple(b.astype(values.dtype) if values.dtype.kind == "f" else b for b in bounds)


def _whole(attrs: Any) -> bool:
    """Whether the range is stated in whole, that is packed, numbers."""
    names = ("valid_range", "valid_min", "valid_max")
    return all(np.asarray(attrs[n]).dtype.kind in "iu" for n in names if n in attrs)
