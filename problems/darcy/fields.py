"""Fields of NetCDF files as functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from pdeinv.errors import DataSchemaError
from pdeinv.io.netcdf import read_dataset
from pdeinv.typing import Array

from .config import FieldFile

__all__ = ["field_function"]


def field_function(source: FieldFile) -> Callable[[Array, Array], Array]:
    """A field of a NetCDF file as a function, bilinear between its nodes.

    Raises:
        DataSchemaError: the file or variable is missing or not on (y, x); at evaluation, a point
            lies outside the field's grid.
    """
    dataset = read_dataset(source.file)
    name = source.variable
    if name not in dataset or set(dataset[name].dims) != {"y", "x"}:
        raise DataSchemaError(
            f"{source.file}: expected variable '{name}' on dimensions (y, x), "
            f"found { ({str(k): v.dims for k, v in dataset.data_vars.items()}) }"
        )
    if "x" not in dataset.coords or "y" not in dataset.coords:
        raise DataSchemaError(f"{source.file}: coordinates x(x) and y(y) are missing")
    field = dataset[name].sortby(["x", "y"]).transpose("y", "x")
    axes = (np.asarray(field["y"], dtype=np.float64), np.asarray(field["x"], dtype=np.float64))
    interpolate = RegularGridInterpolator(axes, np.asarray(field, dtype=np.float64))

    def function(x: Array, y: Array) -> Array:
        try:
            return np.asarray(interpolate(np.stack([y, x], axis=-1)))
        except ValueError:
            raise DataSchemaError(
                f"{source.file}: '{name}' covers x in [{axes[1][0]:g}, {axes[1][-1]:g}] and y in "
                f"[{axes[0][0]:g}, {axes[0][-1]:g}], less than the domain; extend the field"
            ) from None

    return function
