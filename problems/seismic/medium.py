"""The unknown as slowness squared at the nodes, with its derivative.

Smooth fields are taken at the nodes. Where the velocity jumps, a node gets the mean of 1/v² over
the patch that it stands for, so that interfaces may lie anywhere and move continuously.
Outside the rectangle the medium goes on as it is on its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.errors import SolverDiverged
from pdeinv.model.coefficient import Coefficient
from pdeinv.model.reference import check_positive
from pdeinv.typing import Array

__all__ = ["AtNodes", "Layers", "Medium", "Nodes", "OnCells", "check", "overlap"]

_FAR = 1e12
"""m; the cells at the edge go on so far."""


class Nodes(Protocol):
    """Nodes of a grid of lines, in canonical order: by y, then x."""

    @property
    def points(self) -> Array:
        """Where they are, shape (n, 2)."""

    @property
    def patches(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Along x and y, the nodes' coordinates (k,) and the ends (k + 1,) of their patches."""


class Medium(Protocol):
    """The velocity's part of m to s = 1/v² at nodes."""

    def velocities(self, m: Array) -> Array:
        """All velocities that there are, of any shape (k,)."""

    def __call__(self, m: Array) -> Array:
        """s, shape (n,)."""

    def jvp(self, m: Array, dm: Array) -> Array:
        """Its derivative along dm, shape (n,)."""

    def vjp(self, m: Array, w: Array) -> Array:
        """The transpose on w (n,), of the shape of m."""


def check(medium: Medium, m: Array, limit: float) -> None:
    """Refuse velocities that are not positive, or too fast for the time step.

    Raises:
        SolverDiverged: names the first or the largest one.
    """
    found = medium.velocities(m)
    check_positive(found, "the velocity")
    most = float(found.max())
    if most > limit * (1 + 1e-9):
        raise SolverDiverged(
            f"the velocity {most:.5g} m s-1 is too fast for the time step, which is stable up to "
            f"{limit:.5g} m s-1; raise time.fastest"
        )


@dataclass(frozen=True)
class AtNodes:
    """A field whose values are taken at the nodes.

    Attributes:
        field: m to v at the nodes.
    """

    field: Coefficient

    def velocities(self, m: Array) -> Array:
        """v at the nodes."""
        return self.field(m)

    def __call__(self, m: Array) -> Array:
        """1/v²."""
        return np.asarray(self.field(m) ** -2.0)

    def jvp(self, m: Array, dm: Array) -> Array:
        """−2 v⁻³ dv."""
        return np.asarray(-2 * self.field(m) ** -3.0 * self.field.jvp(m, dm))

    def vjp(self, m: Array, w: Array) -> Array:
        """Its transpose."""
        return self.field.vjp(m, -2 * self.field(m) ** -3.0 * w)


@dataclass(frozen=True)
class OnCells:
    """Constant velocities on cells, m itself.

    Attributes:
        share: what part of the patch of each node lies in each cell, sparse (n, n_m).
    """

    share: Any

    @classmethod
    def of(cls, ends: tuple[Array, Array], edges: tuple[Array, Array]) -> OnCells:
        """Of a grid of cells with x fastest.

        Args:
            ends: of the patches of nodes, along x and along y.
            edges: of the cells, along x and along y.
        """
        along_x, along_y = (overlap(e, c) for e, c in zip(ends, edges, strict=True))
        return cls(sparse.kron(along_y, along_x, format="csr"))

    @cached_property
    def _turned(self) -> Any:
        return self.share.T.tocsr()

    def velocities(self, m: Array) -> Array:
        """Those of the cells."""
        return m

    def __call__(self, m: Array) -> Array:
        """The mean of 1/v² over each patch."""
        return np.asarray(self.share @ m**-2.0)

    def jvp(self, m: Array, dm: Array) -> Array:
        """That of −2 v⁻³ dv."""
        return np.asarray(self.share @ (-2 * m**-3.0 * dm))

    def vjp(self, m: Array, w: Array) -> Array:
        """Its transpose."""
        return np.asarray(-2 * m**-3.0 * (self._turned @ w))


@dataclass(frozen=True)
class Layers:
    """Flat layers: m is thicknesses of all but the last, then velocities.

    Attributes:
        ends: of the patches of nodes along y, shape (rows + 1,).
        columns: nodes along x.
        count: layers.
    """

    ends: Array
    columns: int
    count: int

    def velocities(self, m: Array) -> Array:
        """Those of the layers."""
        return m[self.count - 1 :]

    def interfaces(self, m: Array) -> Array:
        """Their depths, shape (count − 1,)."""
        return np.asarray(np.cumsum(m[: self.count - 1]))

    def _shares(self, m: Array) -> Array:
        """What part of each row of patches lies in each layer, shape (rows, count)."""
        edges = np.concatenate([[-_FAR], self.interfaces(m), [_FAR]])
        low = np.maximum(self.ends[:-1, None], edges[:-1])
        high = np.minimum(self.ends[1:, None], edges[1:])
        return np.asarray(np.maximum(high - low, 0.0) / np.diff(self.ends)[:, None])

    def _cut(self, m: Array) -> Array:
        """How fast a row's part above an interface grows with its depth, (rows, count − 1)."""
        depth = self.interfaces(m)
        inside = (depth > self.ends[:-1, None]) & (depth <= self.ends[1:, None])
        return np.asarray(inside / np.diff(self.ends)[:, None])

    def _spread(self, rows: Array) -> Array:
        return np.repeat(rows, self.columns)

    def __call__(self, m: Array) -> Array:
        """The mean of 1/v² over each patch."""
        return self._spread(self._shares(m) @ self.velocities(m) ** -2.0)

    def jvp(self, m: Array, dm: Array) -> Array:
        """Its change with interfaces and velocities."""
        v, dv = self.velocities(m), self.velocities(dm)
        step = -np.diff(v**-2.0)
        rows = self._shares(m) @ (-2 * v**-3.0 * dv)
        return self._spread(rows + self._cut(m) @ (step * self.interfaces(dm)))

    def vjp(self, m: Array, w: Array) -> Array:
        """The transpose."""
        v = self.velocities(m)
        rows = w.reshape(-1, self.columns).sum(axis=1)
        on_v = -2 * v**-3.0 * (self._shares(m).T @ rows)
        on_depth = -np.diff(v**-2.0) * (self._cut(m).T @ rows)
        return np.concatenate([np.cumsum(on_depth[::-1])[::-1], on_v])


def overlap(ends: Array, edges: Array) -> Any:
    """What part of each interval lies in each cell, sparse (intervals, cells).

    Args:
        ends: of the intervals, shape (intervals + 1,).
        edges: of the cells, shape (cells + 1,); the first and the last one go on beyond.
    """
    wide = np.concatenate([[-_FAR], edges[1:-1], [_FAR]])
    low = np.maximum(ends[:-1, None], wide[:-1])
    high = np.minimum(ends[1:, None], wide[1:])
    return sparse.csr_array(np.maximum(high - low, 0.0) / np.diff(ends)[:, None])
