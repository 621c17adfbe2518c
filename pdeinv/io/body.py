"""The shape of a body in files: its outline, and the mesh that an unknown lives on.

Results and truths keep them beside the unknown, so that figures and exports need no solver.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.io.schema import ANY, Column, check
from pdeinv.model.simplices import Simplices
from pdeinv.typing import Array

__all__ = [
    "CELL",
    "body_variables",
    "cut_mesh_of",
    "mesh_of",
    "mesh_variables",
    "outline_variables",
]

CELL = "cell"
"""The attribute ``location`` of a coordinate whose values are the middles of cells."""

_LINKS = {2: "edge", 3: "face", 4: "volume"}
_BOX_PATHS = ((0, 1, 2, 6), (0, 1, 5, 6), (0, 3, 2, 6), (0, 3, 7, 6), (0, 4, 5, 6), (0, 4, 7, 6))
"""The six tetrahedra along the diagonal of a hexahedron with its corners as VTK numbers them."""


def body_variables(curves: Array | None, mesh: Simplices | None, units: str) -> xr.Dataset:
    """Outline and mesh, as far as there are any."""
    return outline_variables(curves, units).merge(mesh_variables(mesh, units))


def outline_variables(curves: Array | None, units: str) -> xr.Dataset:
    """``outline_x`` and ``outline_y`` of closed curves (n, 2), rows of NaN between two of them."""
    if curves is None:
        return xr.Dataset()
    several = ", NaN between two curves" if np.isnan(curves).any() else ""
    return xr.Dataset({
        f"outline_{axis}": ("outline", curves[:, i], {
            "units": units, "long_name": f"{axis} along the outline of the body, closed{several}",
        })
        for i, axis in enumerate("xy")
    })  # fmt: skip


def mesh_variables(mesh: Simplices | None, units: str) -> xr.Dataset:
    """``mesh_x``, ... (mesh_node) and ``mesh_cells`` (mesh_cell, mesh_corner), counted from 0.

    The nodes are those of a field over ``vertex``, the cells those of one over ``element``.
    """
    if mesh is None:
        return xr.Dataset()
    places = {
        f"mesh_{axis}": ("mesh_node", column, {
            "units": units, "long_name": f"{axis} of the nodes of the unknown's mesh",
        })
        for axis, column in zip("xyz", mesh.points.T, strict=False)
    }  # fmt: skip
    about = {"units": "1", "long_name": "nodes of each cell of the unknown's mesh"}
    cells = ("mesh_cell", "mesh_corner"), mesh.cells.astype(np.int32), about
    return xr.Dataset({**places, "mesh_cells": cells})


def mesh_of(dataset: xr.Dataset) -> Simplices | None:
    """The mesh that :func:`mesh_variables` wrote, if it did."""
    if "mesh_cells" not in dataset:
        return None
    axes = [a for a in "xyz" if f"mesh_{a}" in dataset]
    places = {f"mesh_{a}": Column(("mesh_node",), finite=True) for a in axes or "x"}
    check(dataset, {**places, "mesh_cells": Column((ANY, ANY))})
    points = np.stack([np.asarray(dataset[f"mesh_{a}"], dtype=np.float64) for a in axes], axis=1)
    return Simplices(points, _nodes(dataset["mesh_cells"], len(points)))


def _nodes(cells: xr.DataArray, count: int) -> NDArray[np.int64]:
    """Numbers of nodes, of which there are ``count``.

    Raises:
        DataSchemaError: one that is no node.
    """
    values = np.asarray(cells)
    if not ((values >= 0) & (values < count) & (values == np.round(values))).all():
        raise DataSchemaError(
            f"'{cells.name}' must hold the numbers of nodes, 0 to {count - 1}; it is damaged"
        )
    return np.asarray(values, dtype=np.int64)


def cut_mesh_of(dataset: xr.Dataset) -> Simplices | None:
    """The UGRID mesh of a solution, its quadrilaterals or hexahedra cut into simplices."""
    link = next((n for n in _LINKS.values() if f"{n}_node_connectivity" in dataset), None)
    axes = [a for a in "xyz" if a in dataset.coords and dataset[a].dims == ("node",)]
    if link is None or not axes:
        return None
    check(dataset, {a: Column(("node",), finite=True) for a in axes})
    check(dataset, {f"{link}_node_connectivity": Column((ANY, ANY))})
    cells = _nodes(dataset[f"{link}_node_connectivity"], dataset.sizes["node"])
    points = np.stack([np.asarray(dataset[a], dtype=np.float64) for a in axes], axis=1)
    return Simplices(points, _cut(cells, len(axes)))


def _cut(cells: NDArray[np.int64], d: int) -> NDArray[np.int64]:
    corners = cells.shape[1]
    if corners == d + 1:
        return cells
    paths = ((0, 1, 2), (0, 2, 3)) if corners == 4 else _BOX_PATHS
    return np.concatenate([cells[:, list(path)] for path in paths])
