"""Triangles between given boundary nodes, by Gmsh; and tetrahedra over triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pdeinv.errors import ConfigError
from pdeinv.fem.domain import CellMesh, boundary_facets
from pdeinv.fem.gmsh import session
from pdeinv.fem.levels import check_cells, check_refined
from pdeinv.fem.mesh import PlainMesh
from pdeinv.fem.outlines import Outline, snapped
from pdeinv.typing import Array

__all__ = ["extruded", "refined_to", "triangulated"]

Ints = NDArray[np.int64]

_GROWTH = 0.35
"""How fast cells may grow with the distance from the boundary."""

_DIGITS = 9
"""Of the nodes given to Gmsh: a body in other units of length differs by rounding, its mesh not."""


def triangulated(boundary: Array, tags: Ints, sides: dict[str, int], size: float) -> PlainMesh:
    """A mesh whose boundary nodes are exactly the given ones, graded from there to ``size``.

    Gmsh is given the body at unit size, since its meshes depend on the size by rounding.

    Args:
        boundary: the nodes of one closed curve, counter-clockwise, shape (n, 2).
        tags: side of the edge from each node to the next.
        sides: tag by name.
        size: of cells far from the boundary.

    Raises:
        ConfigError: the boundary cannot be meshed.
    """
    scale = float(np.abs(boundary).max())
    unit = np.round(boundary / scale, _DIGITS)
    try:
        with session() as gmsh:
            points, cells = _meshed(gmsh, unit, float(f"{size / scale:.{_DIGITS}g}"))
    except Exception as error:
        raise ConfigError(
            f"Gmsh cannot mesh the domain ({str(error).strip() or type(error).__name__}); "
            "change cells or the electrodes"
        ) from None
    distance, node = cKDTree(points).query(unit)
    count = len(np.unique(node))
    if distance.max() > 1e-9 or count < len(boundary):
        raise ConfigError("Gmsh moved boundary nodes; change cells or the electrodes")
    points = scale * points
    points[node] = boundary
    edges = np.stack([node, np.roll(node, -1)], axis=1)
    return PlainMesh.ordered(points, cells, edges, tags, sides)


def _meshed(gmsh: Any, boundary: Array, size: float) -> tuple[Array, Ints]:
    steps = np.linalg.norm(np.roll(boundary, -1, axis=0) - boundary, axis=1)
    geo, mesh, n = gmsh.model.geo, gmsh.model.mesh, len(boundary)
    corners = [geo.addPoint(x, y, 0.0) for x, y in boundary]
    lines = [geo.addLine(corners[i], corners[(i + 1) % n]) for i in range(n)]
    geo.addPlaneSurface([geo.addCurveLoop(lines)])
    geo.synchronize()
    for line in lines:
        mesh.setTransfiniteCurve(line, 2)
    near = mesh.field.add("Distance")
    mesh.field.setNumbers(near, "PointsList", corners)
    grown = mesh.field.add("MathEval")
    start = float(np.median(steps))
    mesh.field.setString(grown, "F", f"{start:.{_DIGITS}g} + {_GROWTH} * F{near}")
    limit = mesh.field.add("MathEval")
    mesh.field.setString(limit, "F", f"{size:.17g}")
    least = mesh.field.add("Min")
    mesh.field.setNumbers(least, "FieldsList", [grown, limit])
    mesh.field.setAsBackgroundMesh(least)
    gmsh.option.setNumber("General.NumThreads", 1)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
    gmsh.option.setNumber("Mesh.MeshSizeFromPoints", 0)
    gmsh.option.setNumber("Mesh.Algorithm", 6)
    mesh.generate(2)
    ids, coords, _ = mesh.getNodes()
    _, _, nodes = mesh.getElements(2)
    triangles = np.asarray(nodes[0], dtype=np.int64).reshape(-1, 3)
    row = np.full(int(ids.max()) + 1, -1, dtype=np.int64)
    used = np.unique(triangles)
    row[used] = np.arange(len(used))
    place = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    place[ids.astype(np.int64)] = np.arange(len(ids))
    points = np.asarray(coords).reshape(-1, 3)[place[used], :2]
    return points, _counter_clockwise(points, row[triangles])


def _counter_clockwise(points: Array, cells: Ints) -> Ints:
    a, b = (points[cells[:, i]] - points[cells[:, 0]] for i in (1, 2))
    turned = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0
    return np.where(turned[:, None], cells[:, ::-1], cells)


def refined_to(mesh: PlainMesh, level: int, outline: Outline | None) -> PlainMesh:
    """Every cell cut into four, ``level`` times; new boundary nodes move onto the outline."""
    check_refined(mesh.points, mesh.cells, level)
    for _ in range(level):
        mesh = mesh.refined()
        if outline is not None:
            points, rim = mesh.points.copy(), np.unique(mesh.edges)
            points[rim] = snapped(outline, points[rim])
            mesh = PlainMesh.ordered(points, mesh.cells, mesh.edges, mesh.tags, mesh.sides)
    return mesh


def extruded(plane: PlainMesh, z: Array) -> tuple[CellMesh, Array, Ints]:
    """The tetrahedra over a plane mesh between heights z, three per prism.

    Args:
        plane: triangles.
        z: increasing heights of the layers of nodes.

    Returns:
        The mesh, whose facets keep the tags of the edges below them and 0 at both ends; the height
        of each facet's centre; and which facets lie on the side wall.
    """
    n, layers = len(plane.points), len(z)
    check_cells(3 * len(plane.cells) * (layers - 1), 3)
    points = np.concatenate([np.column_stack([plane.points, np.full(n, h)]) for h in z])
    # prisms cut along the order of their nodes fit together (Kuhn)
    i, j, k = np.sort(plane.cells, axis=1).T
    tets = [(i, j, k, k + n), (i, j, j + n, k + n), (i, i + n, j + n, k + n)]
    one = np.concatenate([np.stack(t, axis=1) for t in tets])
    cells = np.concatenate([one + layer * n for layer in range(layers - 1)])
    facets = boundary_facets(cells, "tetrahedron")[2]
    below = np.sort(facets % n, axis=1)
    pair = np.stack([below[:, 0], below[:, 2]], axis=1)
    wall = (below[:, 0] == below[:, 1]) | (below[:, 1] == below[:, 2])
    tag_of = dict(zip(map(tuple, plane.edges.tolist()), plane.tags.tolist(), strict=True))
    tags = np.array(
        [tag_of.get(tuple(p), 0) if w else 0 for p, w in zip(pair.tolist(), wall, strict=True)],
        dtype=np.int64,
    )
    mesh = CellMesh(points, cells, "tetrahedron", facets, tags, plane.sides)
    return mesh, points[facets, 2].mean(axis=1), wall.astype(np.int64)
