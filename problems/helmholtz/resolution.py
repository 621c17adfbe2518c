"""Is the mesh fine enough for the wavelength?"""

from __future__ import annotations

import math
from typing import Any

from pdeinv.bayes.prior_config import (
    GaussianConfig,
    LevelSetConfig,
    LogGaussianConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
)
from pdeinv.errors import ConfigError

from .config import Bumps, HelmholtzConfig, Inclusions

__all__ = ["MIN_POINTS", "check_resolution", "largest_index", "points_per_wavelength"]

MIN_POINTS = {1: 10.0, 2: 6.0, 3: 5.0, 4: 5.0}
"""Nodes per shortest wavelength by degree, below which even a coarse model misses the phase."""


def largest_index(config: HelmholtzConfig) -> float:
    """The largest n that the prior allows, or mean plus two standard deviations, at least 1."""
    if config.quantity == "source":
        return 1.0
    high = _highest(config.unknown)
    return max(1.0, high if config.quantity == "index" else 1 + high)


def _highest(unknown: Any) -> float:  # noqa: PLR0911 - one line per kind of prior
    match unknown:
        case GaussianConfig():
            return unknown.mean + 2 * unknown.std
        case LogGaussianConfig():
            return math.exp(unknown.mean + 2 * unknown.std)
        case PiecewiseConfig():
            return math.exp(unknown.log_mean + 2 * unknown.std)
        case TwoPhaseConfig():
            return max(unknown.low, unknown.high)
        case LevelSetConfig():
            return max(unknown.values)
        case UniformConfig():
            return unknown.high
        case Bumps() | Inclusions():
            return unknown.amplitude[1]
    return 0.0


def points_per_wavelength(config: HelmholtzConfig, counts: tuple[int, int]) -> float:
    """Nodes per shortest wavelength 2π/(k √n) along the coarser direction; inf for k = 0."""
    k = max(config.ks) * math.sqrt(largest_index(config))
    spacing = max(length / n for length, n in zip(config.lengths, counts, strict=True))
    return math.inf if k == 0 else 2 * math.pi / k / spacing * config.degree


def check_resolution(config: HelmholtzConfig, counts: tuple[int, int], level: int) -> None:
    """Refuse a mesh too coarse for the wavelength.

    Raises:
        ConfigError: with the number of cells that is needed.
    """
    found, needed = points_per_wavelength(config, counts), MIN_POINTS[config.degree]
    if found >= needed:
        return
    step = 1 << max(0, -level)
    k = max(config.ks) * math.sqrt(largest_index(config))
    cells = max(
        step * math.ceil(needed * length * k / (2 * math.pi * config.degree) / 2.0 ** max(0, level))
        for length in config.lengths
    )
    raise ConfigError(
        f"level {level}: {found:.2g} nodes per wavelength {2 * math.pi / k:.3g} "
        f"(k = {max(config.ks):.4g}, n up to {largest_index(config):.3g}) are too few, "
        f"{config.element} needs {needed:g}; set cells to at least {cells}"
    )
