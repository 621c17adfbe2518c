"""Cells that follow a flame: split where a field, or its slope, changes too much across one.

A cell is split where the change of a field across it exceeds ``slope`` of the field's range, or the
change of its derivative ``curve`` of that one's range, and where a neighbour is less than half as
long. These are the criteria of Smooke (1982) and of Cantera, on quadratic elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .equations import Equations, Flame
from .grid import Grid

__all__ = ["Criteria", "adapted", "moved_to", "split"]

RATIO = 3.0
"""Cells are at most so many times longer than their neighbours."""
ROUNDS = 12
"""Times that cells are split at most."""
SMALL = 1e-3
"""Changes of fields below this part of the largest mass fraction do not count."""


@dataclass(frozen=True)
class Criteria:
    """What a cell may span.

    Attributes:
        slope: of the range of each field.
        curve: of the range of its derivative.
        most: cells.
    """

    slope: float
    curve: float
    most: int = 2000


def split(grid: Grid, values: Array, criteria: Criteria) -> NDArray[np.bool_]:
    """Which cells are too long, (cells,)."""
    ends, sizes = values[::2], np.diff(grid.places)[:, None]
    middles = values[1::2]
    ranges = np.ptp(ends, axis=0)
    ranges = np.where(ranges > SMALL * np.abs(ends).max(axis=0), ranges, np.inf)
    local = np.stack([ends[:-1], middles, ends[1:]])
    found = np.ptp(local, axis=0) > criteria.slope * ranges
    left = (-3 * local[0] + 4 * local[1] - local[2]) / sizes
    right = (local[0] - 4 * local[1] + 3 * local[2]) / sizes
    spans = np.ptp(np.concatenate([left, right]), axis=0)
    spans = np.where(np.isfinite(ranges), spans, np.inf)
    found |= np.abs(right - left) > criteria.curve * spans
    return _graded(sizes[:, 0], found.any(axis=1))


def _graded(sizes: Array, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With the cells that would be too long beside their neighbours."""
    while True:
        lengths = np.where(marked, sizes / 2, sizes)
        beside = np.minimum(np.append(np.inf, lengths[:-1]), np.append(lengths[1:], np.inf))
        more = ~marked & (lengths > RATIO * beside)
        if not more.any():
            return marked
        marked = marked | more


def moved_to(equations: Equations, flame: Flame, places: Array) -> tuple[Equations, Flame]:
    """The same flame on other cells, among whose ends is the place that is held."""
    old = equations.grid
    grid = Grid(places, old.fields, equations.setting.counterflow)
    held = int(np.argmin(np.abs(grid.x - old.x[equations.held])))
    values = old.interpolated(flame.values, grid.x)
    return replace(equations, grid=grid, held=held), Flame(values, flame.eigenvalue)


def adapted(
    equations: Equations,
    flame: Flame,
    criteria: Criteria,
    solve: Callable[[Equations, Flame], Flame],
) -> tuple[Equations, Flame]:
    """A flame on cells that follow it.

    Args:
        equations: on the first cells.
        flame: that solves them.
        criteria: of cells.
        solve: the flame of equations, from a start.

    Raises:
        SolverDiverged: a solve fails, or there would be too many cells.
    """
    for _ in range(ROUNDS):
        places = equations.grid.places
        marked = split(equations.grid, flame.values, criteria)
        if not marked.any():
            break
        if len(places) + marked.sum() > criteria.most:
            raise SolverDiverged(
                f"the flame needs more than {criteria.most} cells; take larger values of slope "
                "and curve, or a domain that suits it"
            )
        middles = 0.5 * (places[1:] + places[:-1])[marked]
        equations, start = moved_to(equations, flame, np.sort(np.append(places, middles)))
        flame = solve(equations, start)
    return equations, flame
