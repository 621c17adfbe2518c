"""Plain meshes: nodes, cells and named boundary edges as arrays, in one canonical order.

A plain mesh is the same on every rank and needs no dolfinx. Its node order (y slowest, then x) is
the order of all files, so that results do not depend on how many ranks solved; on rectangles it is
the row-major order of the node grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["SIDES", "CellShape", "PlainMesh", "canonical_order", "canonical_ranks", "rectangle"]

Ints = NDArray[np.int64]
CellShape = Literal["triangle", "quadrilateral"]

SIDES = ("left", "right", "bottom", "top")
"""The boundary names of a rectangle, tagged 1 to 4."""


def canonical_ranks(values: Array, tol: float) -> Ints:
    """Equal ranks for values closer than ``tol``, so that rounding cannot reorder nodes."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > tol)])
    return ranks


def canonical_order(points: Array) -> Ints:
    """The permutation that sorts points (n, 2) by y, then x."""
    tol = 1e-9 * float(np.ptp(points, axis=0).max())
    return np.lexsort((canonical_ranks(points[:, 0], tol), canonical_ranks(points[:, 1], tol)))


@dataclass(frozen=True)
class PlainMesh:
    """A mesh of triangles or quadrilaterals in the plane.

    Attributes:
        points: node coordinates, shape (n, 2), in canonical order.
        cells: nodes of each cell, counter-clockwise, shape (k, 3) or (k, 4).
        edges: nodes of each boundary edge, sorted, shape (b, 2).
        tags: the side each boundary edge belongs to; 0 where it has no name. Shape (b,).
        sides: tag by name of side.
    """

    points: Array
    cells: Ints
    edges: Ints
    tags: Ints
    sides: Mapping[str, int]

    @classmethod
    def ordered(
        cls, points: Array, cells: Ints, edges: Ints, tags: Ints, sides: Mapping[str, int]
    ) -> PlainMesh:
        """The mesh with its nodes renumbered to canonical order."""
        order = canonical_order(points)
        new = np.empty(len(order), dtype=np.int64)
        new[order] = np.arange(len(order))
        return cls(points[order], new[cells], np.sort(new[edges], axis=1), tags, dict(sides))

    @property
    def shape(self) -> CellShape:
        """The shape of its cells."""
        return "triangle" if self.cells.shape[1] == 3 else "quadrilateral"

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the bounding box along x and y."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))

    def nodes_on(self, sides: list[str]) -> Ints:
        """The nodes of the edges of some sides; the empty name stands for edges without a name."""
        wanted = [self.sides.get(s, 0) for s in sides]
        return np.unique(self.edges[np.isin(self.tags, wanted)])

    def outline(self) -> Array:
        """The closed curves of the boundary, one behind the other with a row of NaN between.

        The domain lies on their left: outer curves run counter-clockwise, those of holes clockwise.

        Returns:
            Shape (n, 2); the last point of a curve is its first.
        """
        gap = np.full((1, 2), np.nan)
        curves = [part for c in _curves(self.cells) for part in (self.points[c], gap)]
        return np.concatenate(curves[:-1])

    def triangulated(self) -> PlainMesh:
        """The same nodes with each quadrilateral cut in two."""
        if self.shape == "triangle":
            return self
        a, b, c, d = self.cells.T
        cells = np.stack([a, b, c, a, c, d], axis=1).reshape(-1, 3)
        return PlainMesh(self.points, cells, self.edges, self.tags, self.sides)

    def refined(self) -> PlainMesh:
        """Every cell cut into four by the midpoints of its edges; sides keep their names."""
        corners = self.cells.shape[1]
        pairs = np.stack([self.cells, np.roll(self.cells, -1, axis=1)], axis=2)
        edges, where = np.unique(np.sort(pairs.reshape(-1, 2), axis=1), axis=0, return_inverse=True)
        n = len(self.points)
        mid = n + where.reshape(-1, corners)
        points = [self.points, self.points[edges].mean(axis=1)]
        before = np.roll(mid, 1, axis=1)
        if corners == 3:
            centre = None
            inner = [mid]
        else:
            points.append(self.points[self.cells].mean(axis=1))
            centre = n + len(edges) + np.arange(len(self.cells))
            inner = []
        outer = [_child(self.cells[:, i], mid[:, i], centre, before[:, i]) for i in range(corners)]
        cells = np.stack(outer + inner, axis=1).reshape(-1, corners)
        half = n + _row_index(edges, self.edges)
        halves = np.stack([self.edges[:, 0], half, half, self.edges[:, 1]], axis=1).reshape(-1, 2)
        return PlainMesh.ordered(
            np.concatenate(points), cells, halves, np.repeat(self.tags, 2), self.sides
        )


def _curves(cells: Ints) -> list[list[int]]:
    """The nodes along each closed curve of edges that one cell only has, the cell on the left."""
    edges = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2).reshape(-1, 2)
    _, first, uses = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    after: dict[int, list[int]] = {}
    for a, b in edges[np.sort(first[uses == 1])].tolist():
        after.setdefault(a, []).append(b)
    found = []
    while after:
        curve = [next(iter(after))]
        while curve[-1] in after:
            ways = after[curve[-1]]
            step = ways.pop()
            if not ways:
                del after[curve[-1]]
            curve.append(step)
        found.append(curve)
    return found


def _child(corner: Ints, after: Ints, centre: Ints | None, before: Ints) -> Ints:
    parts = [corner, after, before] if centre is None else [corner, after, centre, before]
    return np.stack(parts, axis=1)


def _row_index(table: Ints, rows: Ints) -> Ints:
    """Where each of ``rows`` stands in the sorted ``table`` (pairs of node numbers)."""
    base = int(table.max()) + 1
    return np.searchsorted(table[:, 0] * base + table[:, 1], rows[:, 0] * base + rows[:, 1])


def rectangle(lengths: tuple[float, float], n: tuple[int, int], shape: CellShape) -> PlainMesh:
    """The rectangle (0, lx) x (0, ly) with n[0] x n[1] cells; triangles halve them, rising.

    Raises:
        ConfigError: fewer than one cell along a direction.
    """
    nx, ny = n
    if min(nx, ny) < 1:
        raise ConfigError(f"a mesh needs at least one cell per direction, got {nx} x {ny}")
    # i / n * length, not linspace, so that meshes of different levels share nodes to the last bit
    x, y = lengths[0] * (np.arange(nx + 1) / nx), lengths[1] * (np.arange(ny + 1) / ny)
    xx, yy = np.meshgrid(x, y)
    node = np.arange((nx + 1) * (ny + 1)).reshape(ny + 1, nx + 1)
    a, b, c, d = node[:-1, :-1], node[:-1, 1:], node[1:, 1:], node[1:, :-1]
    if shape == "quadrilateral":
        cells: Any = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    else:
        cells = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    lines = (node[:, 0], node[:, -1], node[0], node[-1])
    edges = np.concatenate([np.stack([s[:-1], s[1:]], axis=1) for s in lines])
    tags = np.repeat(np.arange(1, 5), [len(s) - 1 for s in lines])
    sides = {name: i + 1 for i, name in enumerate(SIDES)}
    return PlainMesh(np.stack([xx.ravel(), yy.ravel()], axis=1), cells, edges, tags, sides)
