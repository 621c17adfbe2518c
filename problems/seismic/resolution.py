"""Are there enough nodes per wavelength?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pdeinv.errors import ConfigError

from .unknown_config import velocities

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["ENOUGH", "LEAST", "check_resolution", "points_per_wavelength"]

LEAST, ENOUGH = 2.5, 5.0
"""Nodes per shortest wavelength: below the first there are no waves, below the second data are
off by several per cent."""

HIGHEST = 2.5
"""The wavelet's spectrum has ended at so many times its peak frequency."""


def points_per_wavelength(config: SeismicConfig, level: int) -> float:
    """Nodes per wavelength of the slowest velocity at 2.5 times the peak frequency."""
    shortest = velocities(config.unknown)[0] / (HIGHEST * config.source.frequency)
    return shortest / config.between_nodes(level)


def check_resolution(config: SeismicConfig, level: int) -> None:
    """Refuse a mesh too coarse for the wavelength.

    Raises:
        ConfigError: with the number of cells that is needed.
    """
    found = points_per_wavelength(config, level)
    if found >= LEAST:
        return
    slowest, highest = velocities(config.unknown)[0], HIGHEST * config.source.frequency
    raise ConfigError(
        f"level {level}: {found:.2g} nodes per shortest wavelength ({slowest:.4g} m s-1 at "
        f"{highest:g} Hz, {HIGHEST:g} times the peak) are too few; expected at least {LEAST:g} "
        f"({ENOUGH:g} for accuracy): {_needed(config, level, LEAST / found)}"
    )


def _needed(config: SeismicConfig, level: int, times: float) -> str:
    """What gives so many times as many nodes."""
    if config.model == "deepwave" and config.deepwave.spacing is not None:
        return f"deepwave.spacing must be at most {config.deepwave.spacing / times:.4g} m"
    nx, ny = (math.ceil(n * times) for n in config.counts(level))
    return f"this level needs {nx} x {ny} cells"
