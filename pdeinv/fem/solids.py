"""Tetrahedra: Gmsh files with named surfaces, and uniform refinement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.domain import CellMesh, boundary_facets
from pdeinv.fem.gmsh import opened
from pdeinv.fem.mesh import canonical_ranks
from pdeinv.typing import Array

__all__ = ["read_solid", "refined_solid"]

Ints = NDArray[np.int64]

_TRIANGLE, _TETRAHEDRON = 2, 4
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


def read_solid(path: Path) -> CellMesh:
    """The tetrahedra of a .msh file; physical surfaces name the boundary sides.

    Raises:
        DataSchemaError: missing, not a mesh, or without straight tetrahedra.
    """
    with opened(path) as model:
        ids, coords, _ = model.mesh.getNodes()
        kinds, _, nodes = model.mesh.getElements(3)
        if [int(k) for k in kinds] != [_TETRAHEDRON]:
            raise DataSchemaError(
                f"{path}: expected straight tetrahedra only (element order 1); mesh the volume and "
                "export it with a physical volume"
            )
        cells = np.asarray(nodes[0], dtype=np.int64).reshape(-1, 4)
        triangles, marks, sides = _named_triangles(model)
    row = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    row[ids.astype(np.int64)] = np.arange(len(ids))
    used = np.unique(cells)
    index = np.full(int(ids.max()) + 1, -1, dtype=np.int64)
    index[used] = np.arange(len(used))
    points = np.asarray(coords, dtype=np.float64).reshape(-1, 3)[row[used]]
    facets = boundary_facets(index[cells], "tetrahedron")[2]
    named = np.sort(index[triangles], axis=1).tolist()
    tag_of = dict(zip(map(tuple, named), marks.tolist(), strict=True))
    tags = np.array([tag_of.get(tuple(f), 0) for f in facets.tolist()], dtype=np.int64)
    return _ordered(points, index[cells], facets, tags, sides)


def _named_triangles(model: Any) -> tuple[Ints, Ints, dict[str, int]]:
    """Nodes of all triangles in physical groups, their tags, and the tag by name."""
    found, tags = [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    sides: dict[str, int] = {}
    for dim, tag in model.getPhysicalGroups(2):
        sides[model.getPhysicalName(dim, tag) or str(tag)] = int(tag)
        for entity in model.getEntitiesForPhysicalGroup(dim, tag):
            kinds, _, nodes = model.mesh.getElements(2, entity)
            for kind, members in zip(kinds, nodes, strict=True):
                if int(kind) == _TRIANGLE:
                    found.append(np.asarray(members, dtype=np.int64).reshape(-1, 3))
                    tags.append(np.full(len(found[-1]), int(tag), dtype=np.int64))
    return np.concatenate(found), np.concatenate(tags), sides


def refined_solid(mesh: CellMesh, level: int) -> CellMesh:
    """Every tetrahedron cut into eight, ``level`` times; sides keep their names."""
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
