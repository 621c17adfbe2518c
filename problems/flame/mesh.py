"""Places of cells along the domain: even, or closer where the temperature of a flame bends."""

from __future__ import annotations

import numpy as np

from pdeinv.typing import Array

from .chemistry import Mixture, Parameters
from .continuation import solve_cold
from .elements import Elements
from .equations import Equations

__all__ = ["graded"]

COARSE = 128
"""Even cells on which the flame is solved that says where others go."""


def graded(length: float, cells: int, part: float, mixture: Mixture, at: Parameters) -> Array:
    """Ends of cells (cells + 1,), of which a ``part`` goes where one flame bends, m.

    The others are spread evenly, so that a flame at another place finds cells as well. The density
    of the former is |T″|^(1/2), which spreads the error of linear pieces evenly. Twice as many
    cells halve each, nearly.

    Raises:
        SolverDiverged: that flame has no solution.
    """
    even = np.linspace(0.0, length, COARSE + 1)
    if part == 0.0:
        return np.linspace(0.0, length, cells + 1)
    equations = Equations(mixture, Elements(even))
    flame = solve_cold(equations, at)
    bend = np.abs(np.diff(flame.temperature, 2)[::2])  # of each cell, whose nodes are three
    density = _smooth(np.sqrt(bend))
    density = (1 - part) / COARSE + part * density / density.sum()
    number = np.concatenate([[0.0], np.cumsum(density)])
    found = np.interp(np.linspace(0.0, number[-1], cells + 1), number, even)
    found[[0, -1]] = 0.0, length
    return found


def _smooth(values: Array, times: int = 4) -> Array:
    """Averages of neighbours, so that cells grow slowly."""
    for _ in range(times):
        values = np.convolve(np.pad(values, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    return values
