"""Fields of NetCDF files as functions."""

from __future__ import annotations

from collections.abc import Callable

from pdeinv.io import gridded
from pdeinv.typing import Array

from .config import FieldFile, Units

__all__ = ["field_function"]


def field_function(source: FieldFile, units: Units) -> Callable[[Array, Array], Array]:
    """A field of a NetCDF file as a function, bilinear between its nodes.

    Args:
        source: the file and its variable.
        units: of the source and of places; those of the file must be the same, where it has any.

    Raises:
        DataSchemaError: as :func:`pdeinv.io.gridded.field_function` says.
    """
    where = source.file, source.variable, units.source, units.coordinate
    return gridded.field_function(gridded.GriddedField(*where))
