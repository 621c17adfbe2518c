"""What a problem shows of itself in figures: its state at the end, in the body that it lives in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import xarray as xr

from pdeinv.typing import Array

__all__ = ["Portrait"]


@dataclass(frozen=True)
class Portrait:
    """The state of a problem at its end on a grid of equal cells, before what the body is made of.

    Attributes:
        words: what the state is, for titles.
        units: of the axes, UDUNITS text.
        axes: middles of the cells along x, y and in solids z.
        ground: what the body is made of, from 0 (dark) to 1 (bright), NaN outside, of the shape
            ((nz,) ny, nx) of the cells.
        state: of an unknown m (n_m,), where the model computes it, (n,). Raises SolverDiverged.
        held: the same out of a dataset of :meth:`pdeinv.plugins.problem.Problem.solve`.
        spread: such numbers on the cells, of the shape of ``ground``.
        levels: of an unknown m, above which state each region is seen, by the region's name among
            the meanings of the data (:attr:`pdeinv.model.observed.Observed.meanings`).
    """

    words: str
    units: str
    axes: Mapping[str, Array]
    ground: Array
    state: Callable[[Array], Array]
    held: Callable[[xr.Dataset], Array]
    spread: Callable[[Array], Array]
    levels: Callable[[Array], Mapping[str, float]]
