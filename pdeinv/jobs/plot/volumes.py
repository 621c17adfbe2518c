"""Three flat cuts through the middle of a field in space: across x, y and z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pdeinv.io.body import CELL
from pdeinv.model.sensors import AXES
from pdeinv.model.simplices import Simplices, located
from pdeinv.typing import Array

__all__ = ["Cut", "cuts", "is_flat", "is_volume", "middle"]

FLAT = 0.6
"""A solid less high than this part of its width is flat."""
NODES = 81
"""Grid nodes along each axis of a cut through a mesh."""
NEAR = 0.05
"""How far from a cut, relative to the body, a place is drawn on it."""


@dataclass(frozen=True)
class Cut:
    """A plane across an axis.

    Attributes:
        axis: x, y or z.
        at: where it crosses the axis.
        near: how far from it a place still belongs to it.
        units: of the axis.
    """

    axis: str
    at: float
    near: float
    units: str = ""

    def __str__(self) -> str:
        """Where it is, in words."""
        at = 0.0 if abs(self.at) < 1e-6 * self.near else self.at
        return f"{self.axis} = {at:.3g} {self.units}".strip()


def is_volume(array: xr.DataArray, mesh: Simplices | None) -> bool:
    """Whether a field in space can be cut: it is on a grid, or on a mesh that is known."""
    if any(a not in array.coords or array[a].ndim != 1 for a in AXES):
        return False
    if _on_grid(array):
        return True
    return mesh is not None and mesh.cells.shape[1] == 4 and _fits(array, mesh)


def is_flat(array: xr.DataArray) -> bool:
    """Whether a field in space is much less high than wide."""
    x, y, z = (float(np.ptp(array[axis].values)) for axis in AXES)
    return z < FLAT * min(x, y)


def _on_grid(array: xr.DataArray) -> bool:
    return len({array[a].dims for a in AXES}) == len(AXES)


def _fits(array: xr.DataArray, mesh: Simplices) -> bool:
    return len(array["x"]) in (len(mesh.points), len(mesh.cells))


def middle(array: xr.DataArray, mesh: Simplices | None) -> dict[str, float]:
    """Where the cuts through a field cross the axes: at the node or cell next to its middle."""
    if mesh is not None and not _on_grid(array):
        return {a: 0.5 * sum(_ends(mesh, a)) for a in AXES}
    return {a: float(array[a][len(array[a]) // 2]) for a in AXES}


def cuts(
    array: xr.DataArray, mesh: Simplices | None, at: Mapping[str, float] | None = None
) -> list[tuple[xr.DataArray, Cut]]:
    """The field on three planes, each over the other two axes; NaN outside a mesh.

    Args:
        array: for which :func:`is_volume` holds, over nothing but space.
        mesh: of a field that is on no grid.
        at: where the planes cross the axes; :func:`middle` where None.
    """
    where = middle(array, mesh) if at is None else at
    found = []
    for axis in AXES:
        reach = NEAR * float(np.ptp(array[axis].values))
        cut = Cut(axis, where[axis], reach, str(array[axis].attrs.get("units", "")))
        if _on_grid(array):
            found.append((_across_grid(array, cut), cut))
        elif mesh is not None:
            found.append((_across_mesh(array, mesh, cut), cut))
    return found


def _across_grid(array: xr.DataArray, cut: Cut) -> xr.DataArray:
    """The nearest layer of cells; between nodes the linear course."""
    axis = array[cut.axis]
    if axis.attrs.get("location") == CELL or len(axis) == 1:
        return array.sel({cut.axis: cut.at}, method="nearest").drop_vars(cut.axis)
    within = float(np.clip(cut.at, axis.min(), axis.max()))
    flat = array.interp({cut.axis: within}).drop_vars(cut.axis)
    return flat.assign_attrs(array.attrs)


def _across_mesh(array: xr.DataArray, mesh: Simplices, cut: Cut) -> xr.DataArray:
    rest = [a for a in AXES if a != cut.axis]
    lines = {a: np.linspace(*_ends(mesh, a), NODES) for a in rest}
    grid = dict(zip(rest, np.meshgrid(*lines.values(), indexing="ij"), strict=True))
    points = np.stack(
        [grid[a].ravel() if a in grid else np.full(NODES**2, cut.at) for a in AXES], axis=1
    )
    values = _at(array.values, mesh, points).reshape(NODES, NODES)
    coords = {a: (a, lines[a], array[a].attrs) for a in rest}
    return xr.DataArray(values, coords, rest, name=array.name, attrs=array.attrs)


def _ends(mesh: Simplices, axis: str) -> tuple[float, float]:
    along = mesh.points[:, AXES.index(axis)]
    return float(along.min()), float(along.max())


def _at(values: Array, mesh: Simplices, points: Array) -> Array:
    """Values of nodes or cells at points, NaN outside."""
    cells, weights, out = located(mesh.points, mesh.cells, points)
    on_nodes = len(values) == len(mesh.points)
    found = (values[mesh.cells[cells]] * weights).sum(axis=1) if on_nodes else values[cells]
    return np.where(out < 1e-6, found, np.nan)
