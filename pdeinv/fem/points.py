"""Evaluation at points as a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import DataSchemaError
from pdeinv.fem.env import fenicsx
from pdeinv.fem.space import LagrangeSpace
from pdeinv.typing import Array

__all__ = ["observation_matrix"]


def _locate(space: LagrangeSpace, points: Array) -> NDArray[np.int64]:
    """A cell that holds each point, -1 where there is none."""
    fx = fenicsx()
    slack = 1e-10 * space.plain.diameter
    tree = fx.geometry.bb_tree(space.mesh, 2, padding=slack)
    near = fx.geometry.compute_collisions_points(tree, points)
    hits = fx.geometry.compute_colliding_cells(space.mesh, near, points)
    cells = np.full(len(points), -1, dtype=np.int64)
    found = np.diff(hits.offsets) > 0
    cells[found] = hits.array[hits.offsets[:-1][found]]
    for k in np.flatnonzero(~found):
        # a point on the boundary may be missed by rounding: take a cell within the slack
        for cell in near.links(k):
            if fx.geometry.squared_distance(space.mesh, 2, [cell], points[k])[0] <= slack**2:
                cells[k] = cell
                break
    return cells


def observation_matrix(space: LagrangeSpace, x: Array, y: Array, what: str = "sensor") -> Any:
    """B with (B u)_k = u(x_k, y_k) by the element's own interpolation; u in dolfinx order.

    Args:
        space: finite-element space on one rank.
        x: shape (n,).
        y: shape (n,).
        what: names the points in errors.

    Returns:
        CSR matrix of shape (n, dofs).

    Raises:
        DataSchemaError: a point lies outside the domain; the first one is named.
    """
    points = np.stack([x, y, np.zeros_like(x)], axis=1).astype(np.float64)
    cells = _locate(space, points)
    if (cells < 0).any():
        k = int(np.flatnonzero(cells < 0)[0])
        x0, x1, y0, y1 = space.plain.box
        raise DataSchemaError(
            f"{what} {k} at (x, y) = ({x[k]:g}, {y[k]:g}) lies outside the domain "
            f"[{x0:g}, {x1:g}] x [{y0:g}, {y1:g}]; remove it or correct its coordinates"
        )
    geometry = space.mesh.geometry
    corners = geometry.x[geometry.dofmaps[0]]
    local = np.zeros((len(points), 2))
    for k, cell in enumerate(cells):
        local[k] = geometry.cmaps[0].pull_back(points[k : k + 1, :2], corners[cell][:, :2])[0]
    values = space.V.element.basix_element.tabulate(0, local)[0, :, :, 0]
    columns = space.V.dofmap.list[cells]
    rows = np.repeat(np.arange(len(points)), columns.shape[1])
    shape = (len(points), space.n_global)
    matrix = sparse.csr_array((values.ravel(), (rows, columns.ravel())), shape)
    matrix.data[np.abs(matrix.data) < 1e-14] = 0.0
    matrix.eliminate_zeros()
    return matrix
