"""Meshes by level with their electrodes as named sides."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.fem.domain import CellMesh, from_plane
from pdeinv.fem.levels import at_least_zero, check_cells
from pdeinv.fem.mesh import PlainMesh
from pdeinv.fem.mesh_checks import parts
from pdeinv.fem.nodal import NodalSpace
from pdeinv.fem.outlines import Outline
from pdeinv.fem.plane_msh import read_msh
from pdeinv.fem.solids import read_solid, refined_solid
from pdeinv.fem.triangulate import extruded, refined_to, triangulated
from pdeinv.typing import Array

from .setup.config import EitConfig
from .setup.geometry import Layout, MshDomain, outline_of, placed

__all__ = ["Domain"]

_EDGES_PER_WAVE = 14
"""Boundary edges per wave of the highest trigonometric function."""


def _name(k: int) -> str:
    return f"electrode{k}"


@lru_cache(maxsize=16)
def _base(domain: Any, layout_key: Any, cells: int, along: int, edges: int) -> PlainMesh:
    """The triangles of an outline between electrode ends; kept, since Gmsh takes its time."""
    outline, layout = outline_of(domain), _layout_from(layout_key)
    wide = 2 * max(outline.half_widths)
    check_cells(cells * math.ceil(cells * 2 * min(outline.half_widths) / wide), 2)
    rim = min(wide / cells / 2, outline.length / edges)
    nodes, tags = _boundary_nodes(outline, layout, (wide / cells, rim), along)
    sides = {_name(k): k + 1 for k in range(len(layout.centres))}
    return triangulated(outline.at(nodes), tags, sides, wide / cells)


def _layout_from(key: Any) -> Layout:
    return Layout(np.array(key[0]), np.array(key[1]), key[2])


def _boundary_nodes(
    outline: Outline, layout: Layout, sizes: tuple[float, float], along: int
) -> tuple[Array, NDArray[np.int64]]:
    """Arc lengths of the boundary nodes, and the electrode (from 1) of the edge after each."""
    total, (size, rim) = outline.length, sizes
    low = layout.centres - layout.widths / 2
    ends = np.concatenate([low, low + layout.widths, outline.corners]) % total
    cuts = np.unique(np.round(ends / total, 12)) * total
    if len(cuts) == 0:
        cuts = np.zeros(1)
    steps = np.diff(np.append(cuts, cuts[0] + total))
    middle = cuts + steps / 2
    inside = np.mod(middle[:, None] - low, total) < layout.widths
    # the first column stands for no electrode
    owner = np.column_stack([~inside.any(axis=1), inside]).argmax(axis=1)
    nodes, tags = [], []
    for start, step, k in zip(cuts, steps, owner, strict=True):
        goal = min(size, layout.widths[k - 1] / along) if k else rim
        n = max(1, int(np.ceil(step / goal - 1e-9)))
        nodes.append(start + step * np.arange(n) / n)
        tags.append(np.full(n, k, dtype=np.int64))
    return np.concatenate(nodes), np.concatenate(tags)


@dataclass(frozen=True)
class Domain:
    """The body of one configuration.

    Attributes:
        config: of the problem.
    """

    config: EitConfig
    _spaces: dict[int, NodalSpace] = field(default_factory=dict, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """2 or 3."""
        return 3 if self.config.domain.solid else 2

    @property
    def file(self) -> MshDomain | None:
        """The .msh configuration, if that is what the domain is."""
        domain = self.config.domain
        return domain if isinstance(domain, MshDomain) else None

    @cached_property
    def outline(self) -> Outline:
        """The outline; a .msh has none."""
        return outline_of(self.config.domain)

    @cached_property
    def layout(self) -> Layout:
        """Where the electrodes are.

        Raises:
            ConfigError: they overlap or leave the boundary.
        """
        if self.config.model == "continuum":
            return Layout(np.zeros(0), np.zeros(0))
        return placed(self.config.electrodes, self.config.domain, self.outline)

    @cached_property
    def electrodes(self) -> tuple[str, ...]:
        """The sides that are electrodes, in their order.

        Raises:
            ConfigError: the .msh has fewer than two, or lacks one that is named.
            DataSchemaError: it is no mesh of a body with electrodes.
        """
        if self.config.model == "continuum":
            return ()
        if self.file is None:
            return tuple(_name(k) for k in range(self.layout.count))
        return _named(self.file, tuple(self._file_mesh.sides))

    @cached_property
    def _file_mesh(self) -> PlainMesh | CellMesh:
        domain = self.file
        assert domain is not None
        read = read_solid if domain.volume else read_msh
        mesh = read(domain.file, lambda sides: _named(domain, sides))
        if parts(mesh.cells, len(mesh.points))[0] > 1:
            raise ConfigError(
                f"{domain.file}: the mesh has parts that no cells join; no current passes between "
                "them; mesh one body"
            )
        return mesh

    def plane(self, level: int = 0) -> PlainMesh:
        """The triangles of a level of a plane domain, or below a solid one.

        Raises:
            ConfigError: there is no mesh that coarse.
        """
        if self.file is not None:
            mesh = self._file_mesh
            assert isinstance(mesh, PlainMesh)
            return refined_to(mesh, at_least_zero(level, self.file.file), None)
        config, coarser = self.config, max(0, -level)
        cells = max(2, config.cells >> coarser)
        along = max(1, config.electrodes.cells >> coarser)
        key = (tuple(self.layout.centres), tuple(self.layout.widths), self.layout.bands)
        edges = 1
        if config.model == "continuum":
            edges = (_EDGES_PER_WAVE * config.modes) >> coarser
        base = _base(config.domain, key, cells, along, edges)
        smooth = self.outline if len(self.outline.corners) == 0 else None
        return refined_to(base, max(0, level), smooth)

    def mesh(self, level: int = 0) -> CellMesh:
        """The mesh of a level: cells halved per level; below 0, a mesh made with larger cells."""
        if self.file is not None and self.file.volume:
            mesh = self._file_mesh
            assert isinstance(mesh, CellMesh)
            return refined_solid(mesh, at_least_zero(level, self.file.file))
        plane = self.plane(level)
        if self.dim == 2:
            return from_plane(plane)
        return self._solid(plane, level)

    def _solid(self, plane: PlainMesh, level: int) -> CellMesh:
        """Layers of tetrahedra with nodes at the upper and lower ends of the electrodes."""
        bands, n = self.layout.bands, len(self.layout.centres)
        mesh, height, _ = extruded(plane, self._heights(level))
        ring = np.full(len(height), -1)
        for r, (low, high) in enumerate(bands):
            ring[(height > low) & (height < high)] = r
        tags = np.where((mesh.tags > 0) & (ring >= 0), mesh.tags + n * ring, 0)
        sides = {_name(k): k + 1 for k in range(self.layout.count)}
        return CellMesh(mesh.points, mesh.cells, mesh.shape, mesh.facets, tags, sides)

    def _heights(self, level: int) -> Array:
        domain, config = self.config.domain, self.config
        assert not isinstance(domain, MshDomain)
        depth = domain.depth
        assert depth is not None
        size = 2 * max(self.outline.half_widths) / max(2, config.cells >> max(0, -level))
        cuts = np.unique(np.clip([0.0, depth, *np.ravel(self.layout.bands)], 0.0, depth))
        parts = []
        for low, high in pairwise(cuts):
            n = max(1, round((high - low) / size)) << max(0, level)
            parts.append(low + (high - low) * np.arange(n) / n)
        return np.append(np.concatenate(parts), depth)

    def nodes(self, level: int = 0) -> CellMesh:
        """The mesh whose nodes are the degrees of freedom of the element on :meth:`mesh`."""
        mesh = self.mesh(level)
        if self.config.element == "P1":
            return mesh
        if self.dim == 3:
            return refined_solid(mesh, 1)
        return from_plane(self.plane(level).refined())

    def space(self, level: int = 0) -> NodalSpace:
        """The elements on the mesh of a level; built once."""
        if level not in self._spaces:
            self._spaces[level] = NodalSpace(
                self.mesh(level), self.config.element, self.nodes(level)
            )
        return self._spaces[level]

    def electrode_places(self) -> tuple[Array, Array]:
        """Centres of the electrodes in m, shape (electrodes, d), and their widths."""
        if self.file is not None:
            return _places_on(self.mesh(0), self.electrodes)
        layout = self.layout
        centres = self.outline.at(layout.centres)
        if not layout.bands:
            return centres, layout.widths
        rings = [np.column_stack([centres, np.full(len(centres), sum(b) / 2)])
                 for b in layout.bands]  # fmt: skip
        return np.concatenate(rings), np.tile(layout.widths, len(rings))

    @cached_property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the bounding box along x, y, z."""
        if self.file is not None:
            return self.mesh(0).extent
        a, b = self.outline.half_widths
        depth = self.config.domain.depth if self.dim == 3 else None  # type: ignore[union-attr]
        return ((-a, a), (-b, b)) if depth is None else ((-a, a), (-b, b), (0.0, depth))


def _places_on(mesh: CellMesh, sides: tuple[str, ...]) -> tuple[Array, Array]:
    """Centres and widths of the sides of a mesh; a surface has the width of a square."""
    places, widths = [], []
    for side in sides:
        corners = mesh.points[mesh.facets[mesh.tags == mesh.sides[side]]]
        edges = np.diff(corners, axis=1)
        if mesh.dim == 2:
            size = np.linalg.norm(edges[:, 0], axis=1)
        else:
            size = 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        places.append(np.average(corners.mean(axis=1), axis=0, weights=size))
        widths.append(size.sum() if mesh.dim == 2 else np.sqrt(size.sum()))
    return np.array(places), np.array(widths)


def _named(domain: MshDomain, sides: Sequence[str]) -> tuple[str, ...]:
    if domain.electrodes is not None:
        lost = [s for s in domain.electrodes if s not in sides]
        if lost:
            raise ConfigError(
                f"electrode '{lost[0]}' is no physical group of {domain.file}; it has "
                f"{', '.join(sorted(sides)) or 'none'}"
            )
        return domain.electrodes
    found = [(int(m[1]), s) for s in sides if (m := re.fullmatch(r"electrode\D*(\d+)", s))]
    if len(found) < 2:
        raise ConfigError(
            f"{domain.file} has {len(found)} physical groups named electrode1, electrode2, ...; "
            "name them so, or list them in domain.electrodes"
        )
    return tuple(s for _, s in sorted(found))
