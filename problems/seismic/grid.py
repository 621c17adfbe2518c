"""The nodes of finite differences: a regular grid a little larger than the rectangle.

Sources and receivers between nodes are spread over the nodes around them, six on each side, so
that the grid reaches so far beyond the rectangle where waves leave. At a free surface the first row
lies one spacing below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["HALFWIDTH", "NodeGrid"]

HALFWIDTH = 6
"""Nodes on each side of a point that it is spread over; with four, deepwave's usual number, a
source between nodes along one axis is 0.4 % too weak."""


@dataclass(frozen=True)
class NodeGrid:
    """Nodes at x = h (i + first_x), y = h (j + first_y).

    Attributes:
        spacing: h, m.
        shape: nodes along y and along x.
        first: j and i of the first node, before the rectangle where they are negative.
    """

    spacing: float
    shape: tuple[int, int]
    first: tuple[int, int]

    @classmethod
    def of(cls, config: SeismicConfig, level: int) -> NodeGrid:
        """That of a level."""
        h, beyond = config.between_nodes(level), HALFWIDTH + 1
        first = (1 if config.boundary.top == "free" else -beyond, -beyond)
        last = [math.ceil(length / h - 1e-9) + beyond for length in config.lengths[::-1]]
        ny, nx = (end - begin + 1 for begin, end in zip(first, last, strict=True))
        return cls(h, (ny, nx), first)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def _lines(self) -> tuple[Array, Array]:
        """Coordinates along x and along y."""
        (ny, nx), (j, i) = self.shape, self.first
        return self._line(i, nx), self._line(j, ny)

    def _line(self, first: int, count: int) -> Array:
        steps: Array = np.arange(first, first + count, dtype=np.float64)
        return steps * self.spacing

    @cached_property
    def points(self) -> Array:
        """Where they are, by y, then x, shape (n, 2)."""
        x, y = np.meshgrid(*self._lines)
        return np.stack([x.ravel(), y.ravel()], axis=1)

    @cached_property
    def patches(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Along x and y, the nodes and the ends of the cells about them."""
        x, y = self._lines
        return (x, self._ends(x)), (y, self._ends(y))

    def _ends(self, line: Array) -> Array:
        return np.append(line, line[-1] + self.spacing) - self.spacing / 2

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """The squares between neighbouring nodes, counter-clockwise."""
        number = np.arange(self.n).reshape(self.shape)
        corners = (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1])
        return np.stack([c.ravel() for c in corners], axis=1)

    def places(self, points: Array) -> Array:
        """Points (k, 2) in spacings from the first node, along y and along x."""
        return np.asarray(points[:, ::-1] / self.spacing - self.first)
