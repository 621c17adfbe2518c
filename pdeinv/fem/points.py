"""Values of finite-element functions at places: the cells that hold them, and a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import DataSchemaError
from pdeinv.fem.env import fenicsx
from pdeinv.model.sensors import Extent, misplaced
from pdeinv.typing import Array

__all__ = ["evaluation", "located_in"]


def located_in(
    mesh: Any, places: Array, extent: Extent, what: str = "sensor"
) -> tuple[NDArray[np.int64], Array]:
    """The cell that holds each place, and where it lies in the reference cell.

    Args:
        mesh: dolfinx mesh on one rank.
        places: shape (n, d).
        extent: ends of the mesh along x, y, z.
        what: names the places in errors.

    Raises:
        DataSchemaError: a place lies outside the mesh; the first one is named.
    """
    fx, d = fenicsx(), places.shape[1]
    slack = 1e-10 * max(b - a for a, b in extent)
    padded = np.zeros((len(places), 3))
    padded[:, :d] = places
    tree = fx.geometry.bb_tree(mesh, d, padding=slack)
    near = fx.geometry.compute_collisions_points(tree, padded)
    hits = fx.geometry.compute_colliding_cells(mesh, near, padded)
    cells = np.full(len(places), -1, dtype=np.int64)
    found = np.diff(hits.offsets) > 0
    cells[found] = hits.array[hits.offsets[:-1][found]]
    for i in np.flatnonzero(~found):
        # a place on the boundary may be missed by rounding: take a cell within the slack
        for cell in near.links(i):
            if fx.geometry.squared_distance(mesh, d, [cell], padded[i])[0] <= slack**2:
                cells[i] = cell
                break
    if (cells < 0).any():
        lost = int(np.flatnonzero(cells < 0)[0])
        raise DataSchemaError(misplaced(f"{what} {lost}", places[lost], extent))
    geometry, local = mesh.geometry, np.zeros((len(places), d))
    corners = geometry.x[geometry.dofmaps[0]][:, :, :d]
    for k, cell in enumerate(cells):
        local[k] = geometry.cmaps[0].pull_back(padded[k : k + 1, :d], corners[cell])[0]
    return cells, local


def evaluation(V: Any, places: Array, extent: Extent, what: str = "sensor") -> Any:
    """B with (B u)_k = u(place k) by the element's own interpolation; u in dolfinx order.

    Args:
        V: dolfinx function space on one rank.
        places: shape (n, d).
        extent: ends of the mesh along x, y, z.
        what: names the places in errors.

    Returns:
        CSR matrix of shape (n, dofs).

    Raises:
        DataSchemaError: a place lies outside the domain; the first one is named.
    """
    cells, local = located_in(V.mesh, places, extent, what)
    values = V.element.basix_element.tabulate(0, local)[0, :, :, 0]
    columns = V.dofmap.list[cells].astype(np.int64)
    starts = np.arange(len(places) + 1) * columns.shape[1]
    shape = (len(places), int(V.dofmap.index_map.size_global))
    matrix = sparse.csr_array((values.ravel(), columns.ravel(), starts), shape)
    matrix.sort_indices()
    matrix.data[np.abs(matrix.data) < 1e-14] = 0.0
    matrix.eliminate_zeros()
    return matrix
