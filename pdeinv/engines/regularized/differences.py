"""Differences between neighbouring entries of an unknown, on grids and scattered points alike."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import CapabilityError
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["Differences", "differences", "has_places"]

LONGEST = 2.5
"""Simplices with an edge longer than this many typical ones at its ends bridge gaps and are left
out."""


@dataclass(frozen=True)
class Differences:
    """A discrete gradient of the unknown.

    ∫ |∇m|² ≈ Σ_i w_i (D m)_i², and ∫ |∇m| ≈ Σ_g w_g (Σ_{i in g} (D m)_i²)^(1/2).

    Attributes:
        matrix: D, shape (n_e, n_m); a row is (m_j - m_i) / distance.
        weights: w, shape (n_e,): lengths, areas or volumes; the same within a group.
        group: which rows make up one gradient, shape (n_e,): all axes at a grid node, else one row.
        mass: volume of each entry over the squared extent of the domain, shape (n_m,), so that
            Σ mass m² compares with ∫ |∇m|²; 0 where an entry has no neighbours.
    """

    matrix: Any
    weights: Array
    group: NDArray[np.int64]
    mass: Array


def differences(space: Space, who: str) -> Differences:
    """Neighbours by the coordinates of each variable.

    Axes with a coordinate each are a grid; one axis with several coordinates holds points (mesh
    nodes, cell centres), whose neighbours are those of their Delaunay triangulation.

    Raises:
        CapabilityError: no variable has coordinates.
    """
    parts = [_of(v) for v in space.variables]
    if all(p is None for p in parts):
        raise CapabilityError(
            f"{who} needs an unknown with coordinates; {'+'.join(space.names)} has none; use "
            "regularization 'noser', 'tikhonov' or 'prior'"
        )
    blocks, weights, groups, mass = [], [np.zeros(0)], [np.zeros(0, np.int64)], []
    for variable, part in zip(space.variables, parts, strict=True):
        if part is None:
            blocks.append(sparse.csr_array((0, variable.size)))
            mass.append(np.zeros(variable.size))
            continue
        blocks.append(part.matrix)
        weights.append(part.weights)
        groups.append(part.group + (int(groups[-1].max(initial=-1)) + 1))
        mass.append(part.mass)
    return Differences(
        sparse.csr_array(sparse.block_diag(blocks)),
        np.concatenate(weights),
        np.concatenate(groups),
        np.concatenate(mass),
    )


def has_places(variable: Variable) -> bool:
    """Whether a variable is a field: several entries, with coordinates that are no numbers."""
    return variable.size > 1 and any(not _counts(variable, name) for name in variable.coords)


def _of(variable: Variable) -> Differences | None:
    coords = {n: dims for n, (dims, _) in variable.coords.items() if not _counts(variable, n)}
    if variable.dims and variable.size > 1 and all(coords.get(d) == (d,) for d in variable.dims):
        return _grid(variable)
    along = [c for c, dims in coords.items() if dims == variable.dims]
    if len(variable.dims) == 1 and along and variable.size > len(along) + 1:
        points = np.stack([variable.coords[c][1] for c in along], axis=1)
        return _scattered(np.asarray(points, dtype=np.float64))
    return None


def _counts(variable: Variable, name: str) -> bool:
    """Whether a coordinate numbers its entries (electrode 0, 1, …), and so is no place."""
    values = variable.coords[name][1]
    unitless = variable.coord_attrs.get(name, {}).get("units") == "1"
    return unitless and np.array_equal(values, np.arange(len(values)))


def _grid(variable: Variable) -> Differences:
    """Forward differences along each axis, grouped by node."""
    axes = [np.asarray(variable.coords[d][1], dtype=np.float64) for d in variable.dims]
    widths = [np.abs(np.gradient(a)) if len(a) > 1 else np.ones(1) for a in axes]
    volume = widths[0]
    for width in widths[1:]:
        volume = np.multiply.outer(volume, width).ravel()
    index = np.arange(variable.size).reshape(variable.shape)
    starts, ends, spans = [], [], []
    for k, axis in enumerate(axes):
        low = np.moveaxis(index, k, -1)[..., :-1]
        starts.append(low.ravel())
        ends.append(np.moveaxis(index, k, -1)[..., 1:].ravel())
        spans.append(np.broadcast_to(np.abs(np.diff(axis)), low.shape).ravel())
    start = np.concatenate(starts)
    matrix = _rows(start, np.concatenate(ends), np.concatenate(spans), variable.size)
    extent = max(float(np.ptp(a)) for a in axes)
    return Differences(matrix, volume[start], start.astype(np.int64), volume / extent**2)


def _rows(start: Any, end: Any, distance: Array, n: int) -> Any:
    """Rows (m_end - m_start) / distance."""
    k = np.arange(len(start))
    columns = np.concatenate([start, end])
    values = np.concatenate([-1 / distance, 1 / distance])
    return sparse.csr_array((values, (np.concatenate([k, k]), columns)), (len(start), n))


def _scattered(points: Array) -> Differences:
    """Edges of the triangulation, each standing for its share of the cells around it."""
    edges, weights, volumes = _chain(points) if points.shape[1] == 1 else _delaunay(points)
    distance = np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1)
    matrix = _rows(edges[:, 0], edges[:, 1], distance, len(points))
    mass = volumes / float(np.ptp(points, axis=0).max()) ** 2
    return Differences(matrix, weights, np.arange(len(edges)), mass)


def _chain(points: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """Neighbours on a line, their distances, and half of these at each point."""
    order = np.argsort(points[:, 0], kind="stable")
    lengths, volumes = np.diff(points[order, 0]), np.zeros(len(points))
    volumes[order[:-1]] += lengths / 2
    volumes[order[1:]] += lengths / 2
    return np.stack([order[:-1], order[1:]], axis=1), lengths, volumes


def _delaunay(points: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """Edges, their weights and the volume of each point, simplices that bridge gaps left out.

    The edges of a simplex point everywhere, so that each sees 1/d of |∇m|²: together they stand for
    d times its volume.
    """
    from scipy.spatial import Delaunay

    simplices, (n, d) = Delaunay(points).simplices, points.shape
    pairs = [(a, b) for a in range(d + 1) for b in range(a)]
    sides = np.sort(simplices[:, pairs], axis=2).reshape(-1, 2)
    edges, number = np.unique(sides, axis=0, return_inverse=True)
    kept = ~_long(points, edges)[number.reshape(-1, len(pairs))].any(axis=1)
    corners = points[simplices]
    volumes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / factorial(d) * kept
    weights = np.bincount(number.ravel(), np.repeat(d * volumes / len(pairs), len(pairs)))
    at_points = np.bincount(simplices.ravel(), np.repeat(volumes / (d + 1), d + 1), n)
    used = weights > 0
    return edges[used].astype(np.int64), weights[used], at_points


def _long(points: Array, edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which edges are long beside those at both of their ends; points may be dense in places."""
    lengths = np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1)
    ends, sides = edges.ravel(), np.repeat(lengths, 2)
    order = np.lexsort((sides, ends))
    counts = np.bincount(ends, minlength=len(points))
    # the lower quartile: at the rim of a gap half of the edges may bridge it
    quartile = np.cumsum(counts) - counts + counts // 4
    typical = sides[order][np.minimum(quartile, len(sides) - 1)]
    return np.asarray(lengths > LONGEST * typical[edges].max(axis=1))
