"""Plane meshes of Gmsh .msh files, checked, in the order of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.mesh import PlainMesh
from pdeinv.fem.mesh_checks import check_mesh, without_repeats
from pdeinv.fem.msh_contents import MshContents, read_contents
from pdeinv.fem.named_facets import Chosen, NamedFacets, none_chosen
from pdeinv.typing import Array

__all__ = ["nodes_in_use", "read_msh"]

Ints = NDArray[np.int64]

_CORNERS = {2: 3, 3: 4}
"""Of the kinds of cells that are read (triangles, quadrilaterals), by Gmsh's number."""


def read_msh(path: Path, chosen: Chosen = none_chosen) -> PlainMesh:
    """The triangles or quadrilaterals of a .msh file; physical curves name the boundary sides.

    A curve with a physical name is a side of that name; one with a bare tag, of the tag's digits.

    Args:
        path: of the file.
        chosen: of the sides, those that carry conditions; none by default.

    Raises:
        DataSchemaError: missing, not a mesh, empty, not plane, of mixed or curved cells, no
            conforming mesh, or with a chosen side that is not the boundary's.
    """
    found = read_contents(path)
    cells = without_repeats(_cells(found, path))
    named = NamedFacets.of(found, 2)
    points, index = nodes_in_use(found, cells, path)
    if np.abs(points[:, 2]).max() > 1e-9 * max(np.ptp(points[:, :2]), 1e-300):
        raise DataSchemaError(f"{path}: the mesh is not plane; nodes must have z = 0")
    xy = points[:, :2]
    cells = _counter_clockwise(xy, index[cells])
    check_mesh(xy, cells, path)
    edges = _boundary_edges(cells)
    named = named.numbered(index)
    tags = named.tags_of(edges, chosen, xy, path)
    return PlainMesh.ordered(xy, cells, edges, tags, named.sides)


def nodes_in_use(found: MshContents, cells: Ints, path: Path) -> tuple[Array, Ints]:
    """The nodes of cells, shape (n, 3), and their numbers by row; negative where not in use.

    Raises:
        DataSchemaError: a cell has a node that the file lacks.
    """
    used = np.unique(cells)
    if used[0] < 0:
        raise DataSchemaError(f"{path}: a cell has a node that the file lacks; export it again")
    index = np.full(len(found.coords), -1, dtype=np.int64)
    index[used] = np.arange(len(used))
    return found.coords[used], index


def _cells(found: MshContents, path: Path) -> Ints:
    if found.cells[3]:
        raise DataSchemaError(
            f"{path} holds solid cells; expected a plane mesh; mesh in two dimensions and export it"
        )
    kinds = found.cells[2]
    if not kinds:
        raise DataSchemaError(
            f"{path} holds no triangles or quadrilaterals; mesh the surface and export it "
            "(with a physical surface, if there are physical groups)"
        )
    if len(kinds) > 1 or kinds[0].kind not in _CORNERS:
        names = ", ".join(k.name for k in kinds)
        raise DataSchemaError(
            f"{path} holds cells of kind {names}; expected straight triangles only or "
            "straight quadrilaterals only (element order 1)"
        )
    return kinds[0].nodes


def _counter_clockwise(xy: Any, cells: Any) -> Any:
    p = xy[cells]
    ahead = np.roll(p, -1, axis=1)
    area = np.sum(p[..., 0] * ahead[..., 1] - p[..., 1] * ahead[..., 0], axis=1)
    return np.where((area < 0)[:, None], cells[:, ::-1], cells)


def _boundary_edges(cells: Any) -> Any:
    """Nodes, sorted, of the edges of one cell only."""
    pairs = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, uses = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    return edges[uses == 1]
