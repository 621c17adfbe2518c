"""Whether cells from outside are a mesh: none flat, none across another, no parts left unjoined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

__all__ = ["check_mesh", "parts", "spot", "without_repeats"]

Ints = NDArray[np.int64]

_FLAT = 1e-10
"""A cell is flat where its volume is below this share of its longest edge to the power d."""

_TOUCH = 1e-9
"""In barycentric coordinates: how near to a cell a node touches it."""


def spot(place: Array) -> str:
    """A place (d,) in messages."""
    return f"({', '.join(f'{v:.6g}' for v in place)})"


def without_repeats(cells: Ints) -> Ints:
    """Each cell once: MSH 2 lists a cell once for every physical group that holds it."""
    _, first = np.unique(np.sort(cells, axis=1), axis=0, return_index=True)
    return cells[np.sort(first)]


def parts(cells: Ints, n: int) -> tuple[int, Ints]:
    """How many parts a mesh of ``n`` nodes has that no cells join, and the part of each node."""
    first = np.repeat(cells[:, 0], cells.shape[1] - 1)
    pairs = sparse.coo_array(
        (np.ones(len(first), dtype=bool), (first, cells[:, 1:].ravel())), (n, n)
    )
    count, label = connected_components(pairs, directed=False)
    return int(count), np.asarray(label, dtype=np.int64)


def check_mesh(points: Array, cells: Ints, path: Path) -> None:
    """Refuse what is no conforming mesh.

    Args:
        points: the nodes in use, shape (n, d).
        cells: triangles or quadrilaterals, counter-clockwise, or tetrahedra of positive volume,
            shape (k, corners).
        path: named in errors.

    Raises:
        DataSchemaError: a node that is not finite, a cell that is flat or not convex, cells that
            overlap, or parts that touch without sharing nodes; with the place.
    """
    if not np.isfinite(points).all():
        raise DataSchemaError(f"{path}: a node of the mesh is not finite; export the mesh again")
    simplices = _simplices(cells, points.shape[1])
    _check_volumes(points, simplices, path)
    _check_neighbours(points, cells, path)
    _check_joined(points, cells, simplices, path)


def _simplices(cells: Ints, d: int) -> Ints:
    """The simplex at each corner of a quadrilateral, else the cell: (k, simplices, d + 1)."""
    if cells.shape[1] == d + 1:
        return cells[:, None, :]
    return np.stack([np.roll(cells, 1 - i, axis=1)[:, :3] for i in range(4)], axis=1)


def _check_volumes(points: Array, simplices: Ints, path: Path) -> None:
    corners = points[simplices]
    d = points.shape[1]
    edges = corners[:, :, 1:] - corners[:, :, :1]
    volume = np.linalg.det(edges)
    longest = np.linalg.norm(edges, axis=-1).max(axis=(1, 2))
    bad = np.flatnonzero(volume.min(axis=1) <= _FLAT * longest**d)
    if len(bad):
        kind = "is flat" if simplices.shape[1] == 1 else "is flat or not convex"
        at = spot(corners[bad[0]].mean(axis=(0, 1)))
        raise DataSchemaError(
            f"{path}: the cell at {at} {kind} ({len(bad)} such cells); mend the mesh in Gmsh and "
            "export it again"
        )


def _facets(cells: Ints, d: int) -> tuple[Ints, Ints]:
    """Nodes, sorted, and orientation (0 or 1) of the facets of all cells."""
    if d == 2:
        facets = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2)
        turns = np.zeros(cells.shape, dtype=np.int64)
    else:
        facets = np.stack([np.delete(cells, k, axis=1) for k in range(d + 1)], axis=1)
        turns = np.broadcast_to(np.arange(d + 1), cells.shape)
    flat = facets.reshape(-1, d)
    swaps = sum((flat[:, i] > flat[:, j]).astype(np.int64) for i in range(d) for j in range(i))
    return np.sort(flat, axis=1), (turns.ravel() + swaps) % 2


def _keys(rows: Ints) -> Ints:
    """A number for each row of node numbers, the same for equal rows only."""
    base = int(rows.max()) + 1
    out = rows[:, 0]
    for column in rows.T[1:]:
        out = out * base + column
    return np.asarray(out)


def _check_neighbours(points: Array, cells: Ints, path: Path) -> None:
    """Two cells at a facet lie on either side of it, so that they see it turned otherwise."""
    facets, turn = _facets(cells, points.shape[1])
    _, first, uses = np.unique(2 * _keys(facets) + turn, return_index=True, return_counts=True)
    if (uses > 1).any():
        at = spot(points[facets[first[uses > 1][0]]].mean(axis=0))
        raise DataSchemaError(
            f"{path}: cells of the mesh overlap at {at}; remove what is meshed twice and export "
            "the mesh again"
        )


def _check_joined(points: Array, cells: Ints, simplices: Ints, path: Path) -> None:
    """No boundary node lies in a cell that it is no corner of."""
    facets, _ = _facets(cells, points.shape[1])
    _, first, uses = np.unique(_keys(facets), return_index=True, return_counts=True)
    rim = np.unique(facets[first[uses == 1]])
    corners = points[cells]
    centres = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1) * (1 + _TOUCH)
    near = cKDTree(points[rim]).query_ball_point(centres, radii)
    cell = np.repeat(np.arange(len(cells)), [len(n) for n in near])
    node = rim[np.concatenate([np.asarray(n, dtype=np.int64) for n in near])]
    foreign = ~(cells[cell] == node[:, None]).any(axis=1)
    cell, node = cell[foreign], node[foreign]
    lost = node[_holds(points[simplices[cell]], points[node])]
    if len(lost):
        raise DataSchemaError(
            f"{path}: parts of the mesh touch at {spot(points[lost[0]])} without sharing nodes, so "
            "that nothing passes from one to the other; join them in Gmsh (BooleanFragments before "
            "meshing) and export the mesh again; a crack needs a width"
        )


def _holds(corners: Array, places: Array) -> NDArray[np.bool_]:
    """Whether one of the simplices (n, simplices, d + 1, d) of a cell holds its place (n, d)."""
    edges = np.swapaxes(corners[:, :, 1:] - corners[:, :, :1], 2, 3)
    shift = places[:, None, :] - corners[:, :, 0]
    weights = np.linalg.solve(edges, shift[..., None])[..., 0]
    low = np.minimum(weights.min(axis=2), 1 - weights.sum(axis=2))
    return np.asarray((low >= -_TOUCH).any(axis=1))
