"""Meshes of intervals, rectangles, boxes and Gmsh files by refinement level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.fem.levels import counts_of, refined
from pdeinv.fem.mesh import SIDES, PlainMesh, rectangle
from pdeinv.fem.plane_msh import read_msh
from pdeinv.fem.space import ElementName, cell_shape, degree
from pdeinv.model.sensors import outside
from pdeinv.model.simplices import Simplices
from pdeinv.typing import Array

__all__ = [
    "BOX_SIDES",
    "LOCAL_FACETS",
    "CellMesh",
    "Domain",
    "Shape",
    "boundary_facets",
    "from_plane",
]

Ints = NDArray[np.int64]
Shape = Literal["interval", "triangle", "quadrilateral", "tetrahedron", "hexahedron"]

BOX_SIDES: dict[int, tuple[str, ...]] = {
    1: ("left", "right"),
    2: SIDES,
    3: ("left", "right", "front", "back", "bottom", "top"),
}
"""Boundary names by dimension: the low and high end along x, then y, then z; tagged from 1."""

LOCAL_FACETS: dict[Shape, list[list[int]]] = {
    "interval": [[0], [1]],
    "triangle": [[1, 2], [0, 2], [0, 1]],
    "quadrilateral": [[0, 1], [0, 2], [1, 3], [2, 3]],
    "tetrahedron": [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]],
    "hexahedron": [
        [0, 1, 2, 3], [0, 1, 4, 5], [0, 2, 4, 6], [1, 3, 5, 7], [2, 3, 6, 7], [4, 5, 6, 7],
    ],
}  # fmt: skip
"""The corners of each facet in the numbering of basix."""

_SHAPES: dict[tuple[int, str], Shape] = {
    (1, "P"): "interval", (1, "Q"): "interval", (2, "P"): "triangle", (2, "Q"): "quadrilateral",
    (3, "P"): "tetrahedron", (3, "Q"): "hexahedron",
}  # fmt: skip


@dataclass(frozen=True)
class CellMesh:
    """A mesh with named boundary facets; corners of cells follow basix.

    Attributes:
        points: node coordinates, shape (n, d), the last coordinate slowest.
        cells: nodes of each cell, shape (k, corners).
        shape: of the cells.
        facets: nodes of each boundary facet, sorted, shape (b, corners).
        tags: the side of each facet, 0 where it has no name, shape (b,).
        sides: tag by name.
    """

    points: Array
    cells: Ints
    shape: Shape
    facets: Ints
    tags: Ints
    sides: Mapping[str, int]

    @property
    def dim(self) -> int:
        """The dimension of the domain."""
        return int(self.points.shape[1])

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the bounding box along x, y, z."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))

    def nodes_on(self, sides: list[str]) -> Ints:
        """The nodes of some sides; the empty name stands for facets without a name."""
        wanted = [self.sides.get(s, 0) for s in sides]
        return np.unique(self.facets[np.isin(self.tags, wanted)])


def boundary_facets(cells: Ints, shape: Shape) -> tuple[Ints, Ints, Ints]:
    """Cell, local number and sorted nodes of each facet that belongs to one cell only."""
    local = np.array(LOCAL_FACETS[shape])
    nodes = np.sort(cells[:, local], axis=2)
    flat = nodes.reshape(-1, local.shape[1])
    _, first, uses = np.unique(flat, axis=0, return_index=True, return_counts=True)
    outer = np.sort(first[uses == 1])
    return outer // len(local), outer % len(local), flat[outer]


def from_plane(plain: PlainMesh) -> CellMesh:
    """The same mesh with corners in the order of basix."""
    order = [0, 1, 2] if plain.shape == "triangle" else [0, 1, 3, 2]
    return CellMesh(
        plain.points, plain.cells[:, order], plain.shape, plain.edges, plain.tags, plain.sides
    )


def _box(lengths: tuple[float, ...], n: tuple[int, ...], shape: Shape) -> CellMesh:
    """An interval or a box of n[0] x n[1] x ... cells; tetrahedra cut each cube in six (Kuhn)."""
    d = len(n)
    axes = [length * (np.arange(k + 1) / k) for length, k in zip(lengths, n, strict=True)]
    points = np.stack([c.ravel() for c in np.meshgrid(*axes[::-1], indexing="ij")[::-1]], axis=1)
    stride = np.concatenate([[1], np.cumprod([k + 1 for k in n])])[:d]
    lower = np.meshgrid(*[np.arange(k) for k in n[::-1]], indexing="ij")[::-1]
    base = sum(s * low.ravel() for s, low in zip(stride, lower, strict=True))
    corners = np.array([sum(s * (c >> i & 1) for i, s in enumerate(stride)) for c in range(2**d)])
    cells = np.asarray(base)[:, None] + corners
    if shape == "tetrahedron":
        paths = [np.cumsum([0, *(1 << i for i in p)]) for p in permutations(range(3))]
        cells = np.concatenate([cells[:, path] for path in paths])
    facets = boundary_facets(cells, shape)[2]
    tags = np.zeros(len(facets), dtype=np.int64)
    centres = points[facets]
    for i, length in enumerate(lengths):
        for k, end in enumerate((0.0, length)):
            tags[(np.abs(centres[:, :, i] - end) < 1e-9 * length).all(axis=1)] = 2 * i + k + 1
    sides = {name: i + 1 for i, name in enumerate(BOX_SIDES[d])}
    return CellMesh(points, cells, shape, facets, tags, sides)


@dataclass(frozen=True)
class Domain:
    """A domain whose mesh is halved per level: an interval, a rectangle, a box, or a .msh file.

    Attributes:
        lengths: side lengths along x, y, z; its length is the dimension.
        cells: cells of level 0 along each side.
        element: decides between simplices (P) and intervals, quadrilaterals, hexahedra (Q).
        file: a Gmsh file of a plane domain, which replaces lengths and cells.
        named: the sides that carry conditions.
    """

    lengths: tuple[float, ...]
    cells: tuple[int, ...]
    element: ElementName
    file: Path | None = None
    named: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """The dimension of the domain."""
        return 2 if self.file is not None else len(self.lengths)

    @cached_property
    def plane(self) -> PlainMesh:
        """The mesh of the file, as read."""
        assert self.file is not None
        return read_msh(self.file, lambda _: self.named)

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the sides; the empty name stands for facets without one."""
        return BOX_SIDES[self.dim] if self.file is None else ("", *self.plane.sides)

    def check_sides(self) -> None:
        """Refuse conditions on names that no side has.

        Raises:
            ConfigError: names the first one, and those that there are.
        """
        wrong = [s for s in self.named if s and s not in self.sides]
        if wrong:
            known = ", ".join(sorted(s for s in self.sides if s)) or "none"
            raise ConfigError(
                f"boundary side '{wrong[0]}' is no physical curve of {self.file}; it has {known}"
            )

    @cached_property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the bounding box along x, y, z."""
        if self.file is None:
            return tuple((0.0, length) for length in self.lengths)
        return self.mesh(0).extent

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (n, d) lie in the domain, shape (n,)."""
        if self.file is None:
            found = np.ones(len(points), dtype=np.bool_)
            found[outside(points, self.extent)] = False
            return found
        plane = self.plane.triangulated()
        return Simplices(plane.points, plane.cells).holds(points)

    @property
    def outline(self) -> Array | None:
        """The curves around the body of a file (:meth:`PlainMesh.outline`); None for a box."""
        return None if self.file is None else self.plane.outline()

    def mesh(self, level: int = 0) -> CellMesh:
        """The mesh of a level.

        Raises:
            ConfigError: there is no mesh that coarse.
        """
        if self.dim == 2:
            return from_plane(self.plain(level))
        return _box(self.lengths, counts_of(self.cells, level), _SHAPES[self.dim, self.element[0]])

    def plain(self, level: int = 0) -> PlainMesh:
        """The mesh of a level of a plane domain, in canonical order.

        Raises:
            ConfigError: there is no mesh that coarse.
        """
        if self.file is not None:
            return refined(self.plane, level, self.file)
        (lx, ly), (nx, ny) = self.lengths, counts_of(self.cells, level)
        return rectangle((lx, ly), (nx, ny), cell_shape(self.element))

    def nodes(self, level: int = 0) -> CellMesh:
        """The mesh whose nodes are the degrees of freedom of the element on :meth:`mesh`."""
        return self.mesh(level + degree(self.element) - 1)
