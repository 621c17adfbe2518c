"""The known flame of a configuration at one state of the inlet, on the cells of a mesh level."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.typing import Array

from .adapt import Criteria, moved_to
from .config import SpeciesConfig
from .continuation import Continuation, Found
from .gas import coefficients
from .parameters import Parameters, Setting
from .start import cold, solved_near

__all__ = ["continuation", "setting_of"]

LEVELS = (-3, 6)
"""The coarsest and the finest level of cells."""


def setting_of(config: SpeciesConfig) -> Setting:
    """The gas and the streams.

    Raises:
        MissingDependency: Cantera is not installed.
    """
    return Setting(config.counterflow, coefficients(), config.oxidizer.parts, config.opposed.parts)


def continuation(config: SpeciesConfig, level: int, at: Parameters) -> Continuation:
    """How flames near the middle of the priors are found, on cells that follow that one.

    Args:
        config: of the problem.
        level: each level up halves cells; below zero they span more of the flame.
        at: parameters in the middle of the priors, with the state of the inlet.

    Raises:
        ConfigError: no such level, or no flame there.
    """
    if not LEVELS[0] <= level <= LEVELS[1]:
        raise ConfigError(f"level must be from {LEVELS[0]} to {LEVELS[1]}, got {level}")
    return _continuation(config, level, at)


@lru_cache(maxsize=32)
def _continuation(config: SpeciesConfig, level: int, at: Parameters) -> Continuation:
    def from_nothing(other: Parameters) -> Found:
        factor = 2.0 ** -min(level, 0)
        criteria = Criteria(factor * config.slope, factor * config.curve)
        return cold(setting_of(config), config.law, config.domain, other, criteria)

    try:
        equations, flame = from_nothing(at)
        for _ in range(level):
            equations, start = moved_to(equations, flame, _halved(equations.grid.places))
            flame = solved_near(equations, at, start)
    except SolverDiverged as error:
        raise ConfigError(f"no flame at the middle of the priors: {error}") from None
    return Continuation(equations, at, flame, from_nothing)


def _halved(places: Array) -> Array:
    return np.sort(np.append(places, 0.5 * (places[1:] + places[:-1])))
