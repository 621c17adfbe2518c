"""Tetrahedra: Gmsh files with named surfaces, and uniform refinement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.domain import CellMesh, boundary_facets
from pdeinv.fem.levels import check_refined
from pdeinv.fem.mesh import canonical_ranks
from pdeinv.fem.mesh_checks import check_mesh, without_repeats
from pdeinv.fem.msh_contents import read_contents
from pdeinv.fem.named_facets import Chosen, NamedFacets, none_chosen
from pdeinv.fem.plane_msh import nodes_in_use
from pdeinv.typing import Array

__all__ = ["read_solid", "refined_solid"]

Ints = NDArray[np.int64]

_TETRAHEDRON = 4
_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_CHILDREN = (
    (0, 4, 5, 6), (4, 1, 7, 8), (5, 7, 2, 9), (6, 8, 9, 3),
    (4, 5, 6, 8), (4, 5, 7, 8), (5, 6, 8, 9), (5, 7, 8, 9),
)  # fmt: skip
"""Corners 0 to 3 and midpoints 4 to 9 in the order of ``_EDGES`` (Bey 1995)."""


def _ordered(points: Array, cells: Ints, facets: Ints, tags: Ints, sides: Any) -> CellMesh:
    """The mesh with nodes in the order of files: z slowest, then y, then x."""
    tol = 1e-9 * float(np.ptp(points, axis=0).max())
    order = np.lexsort([canonical_ranks(points[:, i], tol) for i in range(3)])
    new = np.empty(len(order), dtype=np.int64)
    new[order] = np.arange(len(order))
    facets = np.sort(new[facets], axis=1)
    return CellMesh(points[order], new[cells], "tetrahedron", facets, tags, dict(sides))


def read_solid(path: Path, chosen: Chosen = none_chosen) -> CellMesh:
    """The tetrahedra of a .msh file; physical surfaces name the boundary sides.

    Args:
        path: of the file.
        chosen: of the sides, those that carry conditions; none by default.

    Raises:
        DataSchemaError: missing, not a mesh, without straight tetrahedra, no conforming mesh, or
            with a chosen side that is not the boundary's.
    """
    found = read_contents(path)
    if [cells.kind for cells in found.cells[3]] != [_TETRAHEDRON]:
        raise DataSchemaError(
            f"{path}: expected straight tetrahedra only (element order 1); mesh the volume and "
            "export it with a physical volume"
        )
    cells = without_repeats(found.cells[3][0].nodes)
    named = NamedFacets.of(found, 3)
    points, index = nodes_in_use(found, cells, path)
    cells = index[cells]
    check_mesh(points, _positive(points, cells), path)
    facets = boundary_facets(cells, "tetrahedron")[2]
    named = named.numbered(index)
    tags = named.tags_of(facets, chosen, points, path)
    return _ordered(points, cells, facets, tags, named.sides)


def _positive(points: Array, cells: Ints) -> Ints:
    """The same cells with corners in an order of positive volume."""
    corners = points[cells]
    turned = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0
    return np.where(turned[:, None], cells[:, [1, 0, 2, 3]], cells)


def refined_solid(mesh: CellMesh, level: int) -> CellMesh:
    """Every tetrahedron cut into eight, ``level`` times; sides keep their names."""
    check_refined(mesh.points, mesh.cells, level)
    for _ in range(level):
        mesh = _refined(mesh)
    return mesh


def _refined(mesh: CellMesh) -> CellMesh:
    n = len(mesh.points)
    pairs = np.stack([mesh.cells[:, list(e)] for e in _EDGES], axis=1)
    keys = np.sort(pairs, axis=2) @ [n, 1]
    edges, where = np.unique(keys, return_inverse=True)
    corners = np.concatenate([mesh.cells, n + where.reshape(keys.shape)], axis=1)
    cells = np.concatenate([corners[:, list(c)] for c in _CHILDREN])
    middles = (mesh.points[edges // n] + mesh.points[edges % n]) / 2
    a, b, c = mesh.facets.T
    ab, ac, bc = (n + np.searchsorted(edges, i * n + j) for i, j in ((a, b), (a, c), (b, c)))
    parts = [(a, ab, ac), (ab, b, bc), (ac, bc, c), (ab, ac, bc)]
    facets = np.concatenate([np.stack(p, axis=1) for p in parts])
    points = np.concatenate([mesh.points, middles])
    return _ordered(points, cells, facets, np.tile(mesh.tags, 4), mesh.sides)
