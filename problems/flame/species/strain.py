"""How fast a counterflow stretches the flame: the steepest fall of the velocity ahead of it."""

from __future__ import annotations

import numpy as np

from .equations import MASSES, Equations, Flame
from .gas import GAS
from .parameters import Parameters

__all__ = ["strain_rate"]

WITHIN = 8
"""Places in each cell that are looked at."""


def strain_rate(equations: Equations, at: Parameters, flame: Flame) -> float:
    """max −du/dx of the reactants, ahead of where the temperature rises most steeply, s-1.

    With u = M v, where v is the volume of a mass, and M′ = −2 ρ V this is the most of 2 V − M v′.
    """
    grid, inverse = equations.grid, 1 / equations.setting.gas.weights
    part = np.arange(WITHIN) / WITHIN
    x = (grid.places[:-1, None] + np.diff(grid.places)[:, None] * part).ravel()
    values, slopes = grid.interpolated(flame.values, x), grid.slopes(flame.values, x)
    amount = inverse[-1] + values[:, MASSES] @ (inverse[:-1] - inverse[-1])
    change = slopes[:, MASSES] @ (inverse[:-1] - inverse[-1])
    by_x = GAS / at.pressure * (slopes[:, 0] * amount + values[:, 0] * change)
    ahead = slice(0, int(np.argmax(slopes[:, 0])))
    return float((2 * values[:, 5] - values[:, 6] * by_x)[ahead].max(initial=0.0))
