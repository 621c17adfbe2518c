"""Spaces: how the flat arrays that the numerics use map to named, labelled variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import xarray as xr

from pdeinv.errors import ShapeError
from pdeinv.typing import Array

__all__ = ["Space", "Variable"]


@dataclass(frozen=True)
class Variable:
    """One named variable of a space.

    Attributes:
        name: the variable's name in files.
        dims: one name per axis.
        shape: the length of each axis.
        units: UDUNITS text; ``"1"`` for a number without dimension.
        long_name: what it is, in words.
        coords: coordinate arrays; each is named and runs along the dims given with it.
        coord_attrs: attributes (units, axis, ...) of the coordinates.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    units: str = "1"
    long_name: str = ""
    coords: Mapping[str, tuple[tuple[str, ...], Array]] = field(default_factory=dict)
    coord_attrs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers the variable holds."""
        return prod(self.shape)

    @property
    def places(self) -> Array:
        """Where the entries are, shape (size, d), by the coordinates x, y, z that there are."""
        axes = [a for a in "xyz" if a in self.coords]
        values = [self.coords[a][1] for a in axes]
        if self.dims == tuple(axes[::-1]):
            values = [c.ravel() for c in np.meshgrid(*values[::-1], indexing="ij")[::-1]]
        return np.stack(values, axis=1)

    def to_xarray(self, values: Array, lead: tuple[str, ...] = ()) -> xr.DataArray:
        """Label ``values`` of shape (*lead, size) or (*lead, *shape)."""
        values = np.asarray(values).reshape((*np.shape(values)[: len(lead)], *self.shape))
        coords = {
            name: xr.Variable(dims, array, dict(self.coord_attrs.get(name, {})))
            for name, (dims, array) in self.coords.items()
        }
        attrs = {"units": self.units, "long_name": self.long_name or self.name}
        return xr.DataArray(values, coords, (*lead, *self.dims), name=self.name, attrs=attrs)


@dataclass(frozen=True)
class Space:
    """An ordered set of variables, packed one behind the other into a flat array."""

    variables: tuple[Variable, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables, in packing order."""
        return tuple(v.name for v in self.variables)

    @property
    def size(self) -> int:
        """The length of the flat array."""
        return sum(v.size for v in self.variables)

    def __getitem__(self, name: str) -> Variable:
        return next(v for v in self.variables if v.name == name)

    def check(self, flat: Array) -> Array:
        """``flat`` as float64 with last axis ``size``.

        Raises:
            ShapeError: the last axis has another length.
        """
        flat = np.asarray(flat, dtype=np.float64)
        if flat.ndim == 0 or flat.shape[-1] != self.size:
            raise ShapeError(
                f"array for {'+'.join(self.names)}: expected last axis {self.size}, "
                f"got shape {flat.shape}"
            )
        return flat

    def unpack(self, flat: Array, lead: tuple[str, ...] = ()) -> xr.Dataset:
        """A dataset of labelled variables from (*lead, size) numbers."""
        flat = self.check(flat)
        cuts = np.cumsum([v.size for v in self.variables])[:-1]
        parts = np.split(flat, cuts, axis=-1)
        return xr.Dataset(
            {v.name: v.to_xarray(p, lead) for v, p in zip(self.variables, parts, strict=True)}
        )

    def pack(self, dataset: xr.Dataset) -> Array:
        """The flat array (*lead, size) of a dataset whose leading dims the space does not know.

        Raises:
            ShapeError: a variable is missing or has another shape.
        """
        return np.concatenate([self._flat(dataset, v) for v in self.variables], axis=-1)

    @staticmethod
    def _flat(dataset: xr.Dataset, variable: Variable) -> Array:
        if variable.name not in dataset:
            raise ShapeError(f"variable '{variable.name}' is missing; found {list(dataset)}")
        array = dataset[variable.name].transpose(..., *variable.dims)
        cut = array.ndim - len(variable.shape)
        if array.shape[cut:] != variable.shape:
            raise ShapeError(
                f"variable '{variable.name}': expected shape {variable.shape}, "
                f"got {array.shape[cut:]}"
            )
        return np.asarray(array, dtype=np.float64).reshape(*array.shape[:cut], variable.size)
