"""Sides of a mesh from Gmsh: the physical groups of its boundary, and which facet is in which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.mesh_checks import spot
from pdeinv.fem.msh_contents import MshContents
from pdeinv.typing import Array

__all__ = ["Chosen", "NamedFacets", "none_chosen"]

Ints = NDArray[np.int64]

Chosen = Callable[[Sequence[str]], Iterable[str]]
"""Of the sides that a mesh has, those that carry conditions."""


def none_chosen(_sides: Sequence[str]) -> tuple[str, ...]:
    """No side carries a condition."""
    return ()


_WORD = {2: "curve", 3: "surface"}
_FACET = {2: 1, 3: 2}
"""Gmsh's number of the facet's kind (a line, a triangle), by dimension."""


@dataclass(frozen=True)
class NamedFacets:
    """The facets of all physical groups; one that is in two groups stands here twice.

    Attributes:
        nodes: sorted, shape (m, d).
        tags: of the groups, shape (m,).
        sides: tag by name.
    """

    nodes: Ints
    tags: Ints
    sides: dict[str, int]

    @classmethod
    def of(cls, contents: MshContents, d: int) -> NamedFacets:
        """The straight lines (d = 2) or triangles (d = 3) of a file, by its nodes.

        A group without a name is called by its number.
        """
        found, tags = [np.zeros((0, d), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        sides: dict[str, int] = {}
        for group in contents.groups[d - 1]:
            tag = sides[group.name or str(group.number)] = group.number
            found.extend(c.nodes for c in group.cells if c.kind == _FACET[d])
            tags.extend(np.full(len(f), tag, dtype=np.int64) for f in found[len(tags) :])
        return cls(np.concatenate(found), np.concatenate(tags), sides)

    def numbered(self, index: Ints) -> NamedFacets:
        """The same with other numbers of the nodes; ``index`` is negative where none is left."""
        there = (self.nodes >= 0).all(axis=1)
        nodes = np.sort(index[self.nodes], axis=1)
        kept = there & (nodes >= 0).all(axis=1)
        return NamedFacets(nodes[kept], self.tags[kept], self.sides)

    def tags_of(self, facets: Ints, chosen: Chosen, points: Array, path: Path) -> Ints:
        """The side of each boundary facet, 0 where it has none.

        Args:
            facets: nodes of the boundary facets, sorted, shape (b, d).
            chosen: of the sides, those that carry conditions; they go before others.
            points: of the nodes.
            path: named in errors.

        Raises:
            DataSchemaError: a facet is in two sides with conditions, or one of these sides has
                facets inside the domain, or none.
        """
        used = [s for s in dict.fromkeys(chosen(tuple(self.sides))) if s in self.sides]
        where = {tuple(f): k for k, f in enumerate(facets.tolist())}
        row = np.array([where.get(tuple(n), -1) for n in self.nodes.tolist()], dtype=np.int64)
        out = np.zeros(len(facets), dtype=np.int64)
        plain = ~np.isin(self.tags, [self.sides[s] for s in used]) & (row >= 0)
        out[row[plain]] = self.tags[plain]
        owner: dict[int, str] = {}
        for side in used:
            rows = row[self.tags == self.sides[side]]
            self._check_outer(side, rows, points, path)
            for k in set(rows.tolist()):
                if k in owner:
                    raise _twice(owner[k], side, points[facets[k]].mean(axis=0), path)
                owner[k] = side
            out[rows] = self.sides[side]
        return out

    def _check_outer(self, side: str, rows: Ints, points: Array, path: Path) -> None:
        """Refuse a side with conditions that is not wholly on the boundary."""
        word = f"physical {_WORD[self.nodes.shape[1]]} '{side}'"
        if len(rows) == 0:
            raise DataSchemaError(
                f"{path}: the {word} has no facet on a cell of the mesh; name the boundary itself"
            )
        if (rows < 0).any():
            nodes = self.nodes[self.tags == self.sides[side]][rows < 0][0]
            raise DataSchemaError(
                f"{path}: the {word} runs inside the domain at {spot(points[nodes].mean(axis=0))}; "
                "a condition there is not supported; leave it out, or cut a hole or slit of some "
                "width along it"
            )


def _twice(first: str, second: str, place: Array, path: Path) -> DataSchemaError:
    return DataSchemaError(
        f"{path}: the boundary at {spot(place)} belongs to the sides '{first}' and '{second}', "
        "which both have conditions; leave it in one of the physical groups"
    )
