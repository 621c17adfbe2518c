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


_NEWTON = 20
"""Steps of Newton's method at most."""

_SLACK = 1e-9
"""How far outside the mesh a place still counts as on its boundary, by the mesh's longest side."""


def located_in(
    mesh: Any, places: Array, extent: Extent, what: str = "sensor"
) -> tuple[NDArray[np.int64], Array]:
    """The cell that holds each place, and where it lies in the reference cell.

    Of the cells near a place the one is taken that it is least outside of. dolfinx by itself
    counts a cell as hit within an absolute 1e-6, which in a small domain is many cells.

    Args:
        mesh: dolfinx mesh on one rank.
        places: shape (n, d).
        extent: ends of the mesh along x, y, z.
        what: names the places in errors.

    Raises:
        DataSchemaError: a place lies outside the mesh; the first one is named.
    """
    fx, d = fenicsx(), places.shape[1]
    slack = _SLACK * max(b - a for a, b in extent)
    padded = np.zeros((len(places), 3))
    padded[:, :d] = places
    tree = fx.geometry.bb_tree(mesh, d, padding=slack)
    near = fx.geometry.compute_collisions_points(tree, padded)
    geometry = mesh.geometry
    corners = geometry.x[geometry.dofmaps[0]][near.array][:, :, :d]
    place = np.repeat(np.arange(len(places)), np.diff(near.offsets))
    local, outside = _pulled_back(mesh, places[place], corners)
    size = np.ptp(corners, axis=1).max(axis=1)
    best = _first_least(place, np.maximum(outside, 1e-14), len(places))
    held = best >= 0
    held[held] = (outside * size)[best[held]] <= slack
    if not held.all():
        lost = int(np.flatnonzero(~held)[0])
        raise DataSchemaError(misplaced(f"{what} {lost}", places[lost], extent))
    return near.array[best].astype(np.int64), local[best]


def _first_least(owner: NDArray[np.int64], values: Array, n: int) -> NDArray[np.int64]:
    """For each of n owners the first of its entries with the least value; -1 without any."""
    order = np.lexsort((values, owner))
    owners, first = np.unique(owner[order], return_index=True)
    out = np.full(n, -1, dtype=np.int64)
    out[owners] = order[first]
    return out


def _pulled_back(mesh: Any, places: Array, corners: Array) -> tuple[Array, Array]:
    """Reference coordinates of places (n, d) in cells (n, nodes, d), and how far outside.

    Newton's method on the map of the cell, which is done in one step where that is affine; a place
    that it does not reach is infinitely far outside.
    """
    fx, d, shape = fenicsx(), places.shape[1], mesh.basix_cell()
    simplex = len(fx.basix.geometry(shape)) == d + 1
    cell, kind = mesh.geometry.cmaps[0], fx.basix.LagrangeVariant
    element = fx.basix.create_element(
        fx.basix.ElementFamily.P, shape, cell.degree, kind(cell.variant)
    )
    size = np.ptp(corners, axis=1).max(axis=1)[:, None]
    scaled, goal = corners / size[..., None], places / size
    local = np.full(places.shape, 1 / (d + 1) if simplex else 1 / 2)
    for _ in range(_NEWTON):
        table = element.tabulate(1, local)[..., 0]
        short = goal - np.einsum("nv,nvd->nd", table[0], scaled)
        step = _solved(np.einsum("tnv,nvd->ndt", table[1:], scaled), short)
        local = np.clip(local + step, -1.0, 2.0)
        if np.abs(step).max(initial=0.0) < 1e-12:
            break
    above = local.sum(axis=1) - 1 if simplex else local.max(axis=1) - 1
    outside = np.maximum(above, -local.min(axis=1))
    return local, np.where(np.abs(short).max(axis=1) < 1e-9, outside, np.inf)


def _solved(matrices: Array, right: Array) -> Array:
    """Solutions of many small systems; zero where a matrix is singular."""
    good = np.abs(np.linalg.det(matrices)) > 1e-12
    out = np.zeros_like(right)
    out[good] = np.linalg.solve(matrices[good], right[good][..., None])[..., 0]
    return out


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
