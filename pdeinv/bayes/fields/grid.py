"""Regular grids of nodes on an interval, a rectangle or a box, and their variables in files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.memory import check_fits
from pdeinv.model.sensors import AXES
from pdeinv.model.spaces import Variable
from pdeinv.typing import Array

__all__ = ["Extent", "RegularGrid", "axis_attrs", "cells", "corner"]


Extent = tuple[tuple[float, float], ...]
"""The lower and upper end along x, y and z, as many as the domain has dimensions."""


def axis_attrs(axis: str, units: str) -> dict[str, str]:
    """The attributes of a coordinate variable."""
    return {"units": units, "long_name": f"{axis} coordinate", "axis": axis.upper()}


def corner(shape: tuple[int, ...]) -> Any:
    """The index of the first ``shape`` entries of the last axes, whatever axes lead."""
    return (..., *(slice(n) for n in shape))


def _check(extent: Extent, counts: tuple[int, ...], least: int, name: str) -> None:
    if not 1 <= len(extent) <= len(AXES):
        raise ConfigError(f"extent: expected 1 to 3 intervals, got {len(extent)}")
    for axis, (low, high) in zip(AXES, extent, strict=False):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigError(f"extent along {axis}: expected low < high, got ({low:g}, {high:g})")
    if len(counts) != len(extent):
        raise ConfigError(
            f"{name}: expected {len(extent)} numbers for a {len(extent)}-D domain, got {counts}"
        )
    if min(counts) < least:
        raise ConfigError(f"{name}: expected at least {least} along each axis, got {counts}")
    size = 8 * (1 + len(counts)) * math.prod(counts)
    check_fits(f"{name}: values and places of {counts}", size, f"lower {name}")


@dataclass(frozen=True)
class RegularGrid:
    """Equidistant nodes, boundary included; arrays run over (z,) y, x with x fastest.

    Attributes:
        extent: ends of the domain along x, y, z.
        nodes: number of nodes along x, y, z.

    Raises:
        ConfigError: an interval is empty, or the numbers of axes differ.
    """

    extent: Extent
    nodes: tuple[int, ...]

    def __post_init__(self) -> None:
        _check(self.extent, self.nodes, 2, "grid")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of arrays on the grid: the numbers of nodes along (z,) y, x."""
        return self.nodes[::-1]

    @property
    def size(self) -> int:
        """The number of nodes."""
        return math.prod(self.nodes)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Side lengths in the order of :attr:`shape`."""
        return tuple(high - low for low, high in self.extent)[::-1]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances of neighbouring nodes in the order of :attr:`shape`."""
        return tuple(d / (n - 1) for d, n in zip(self.lengths, self.shape, strict=True))

    @property
    def axes(self) -> tuple[Array, ...]:
        """The coordinates along x, y, z."""
        return tuple(np.linspace(*e, n) for e, n in zip(self.extent, self.nodes, strict=True))

    @property
    def points(self) -> Array:
        """All nodes, shape (size, d), columns x, y, z."""
        mesh = np.meshgrid(*self.axes[::-1], indexing="ij")[::-1]
        return np.stack([c.ravel() for c in mesh], axis=-1)

    @property
    def weights(self) -> Array:
        """Trapezoidal quadrature weights of the nodes, shape (size,); they add up to the volume."""
        weights = np.ones(1)
        for h, n in zip(self.spacing, self.shape, strict=True):
            line = np.full(n, h)
            line[[0, -1]] *= 0.5
            weights = np.multiply.outer(weights, line).reshape(-1)
        return weights

    def variable(self, name: str, units: str, long_name: str, coord_units: str = "m") -> Variable:
        """A variable with one value per node."""
        return _variable(name, (units, long_name, coord_units), self.axes)


def cells(
    extent: Extent, counts: tuple[int, ...], labels: tuple[str, str, str], coord_units: str = "m"
) -> Variable:
    """A variable with one value per cell of a regular grid, its coordinates the cells' centres.

    Their attribute ``location = "cell"`` tells files and figures so.

    Args:
        extent: ends of the domain along x, y, z.
        counts: number of cells along x, y, z.
        labels: name, units and long name of the variable.
        coord_units: units of the coordinates.

    Raises:
        ConfigError: an interval is empty, or the numbers of axes differ.
    """
    _check(extent, counts, 1, "cells")
    centres = tuple(
        low + (np.arange(n) + 0.5) * (high - low) / n
        for (low, high), n in zip(extent, counts, strict=True)
    )
    name, units, long_name = labels
    found = _variable(name, (units, long_name, coord_units), centres)
    attrs = {
        axis: {**about, "long_name": f"{axis} of the cell's centre", "location": "cell"}
        for axis, about in found.coord_attrs.items()
    }
    return replace(found, coord_attrs=attrs)


def _variable(name: str, labels: tuple[str, str, str], axes: tuple[Array, ...]) -> Variable:
    units, long_name, coord_units = labels
    named = dict(zip(AXES, axes, strict=False))
    dims = tuple(named)[::-1]
    return Variable(
        name,
        dims,
        tuple(len(named[d]) for d in dims),
        units,
        long_name,
        {d: ((d,), named[d]) for d in dims},
        {d: axis_attrs(d, coord_units) for d in dims},
    )
