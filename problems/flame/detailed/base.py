"""The flame that every solve of an experiment begins from, on the grid that its models share.

The grid of level 0 meets the criteria of the configuration for the flame of the mechanism's own
rates, at the middle of the priors. Each level up halves its cells, each level down takes every
second point. Solves begin from here and never from the last one, so that data depend on the
unknown alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.typing import Array

from .config import DetailedConfig
from .inlet import Inlet
from .mechanism import gas_of, too_cold
from .stack import Stack

__all__ = ["Base", "base_of", "solved_from"]

LEVELS = (-3, 6)
STEEP = 0.02
"""Largest gradient of temperature at the ends of a free flame, over that between them."""


@dataclass(frozen=True, eq=False)
class Base:
    """A flame.

    Attributes:
        grid: points, m, shape (n,).
        state: of the flame there (names, n).
        pinned: the point of the grid where a free flame is held at its temperature there; −1 of
            other flames.
    """

    grid: Array
    state: Array
    pinned: int


def base_of(config: DetailedConfig, level: int, inlet: Inlet) -> Base:
    """That of an experiment.

    Raises:
        ConfigError: no such level, or no flame at the middle of the priors.
    """
    if not LEVELS[0] <= level <= LEVELS[1]:
        raise ConfigError(f"level must be from {LEVELS[0]} to {LEVELS[1]}, got {level}")
    # what the unknown is does not matter to the flame in its middle
    text = config.model_dump_json(exclude={"unknown", "extrapolate", *inlet._fields})
    try:
        return _base(text, level, inlet)
    except SolverDiverged as error:
        raise ConfigError(
            f"no flame at the middle of the priors, with {_told(inlet)}: {error}"
        ) from None


def _told(inlet: Inlet) -> str:
    return (
        f"p = {inlet.pressure:g} Pa, T_in = {inlet.inlet_temperature:g} K, phi = "
        f"{inlet.equivalence_ratio:g}"
    )


@lru_cache(maxsize=256)
def _base(text: str, level: int, inlet: Inlet) -> Base:
    config = DetailedConfig.model_validate_json(text)
    gas = gas_of(config)
    if level == 0:
        return _refined(config, gas, inlet)
    return _of_level(config, gas, inlet, _base(text, 0, inlet), level)


def _refined(config: DetailedConfig, gas: Any, inlet: Inlet) -> Base:
    why = too_cold(config, gas, inlet)
    if why:
        raise SolverDiverged(why)
    stack = Stack(config, gas, inlet)
    stack.refined()
    state, grid, pinned = stack.settled(), stack.grid, -1
    if config.configuration == "free":
        _check_width(config, grid, state[1])
        pinned = int(np.argmin(np.abs(grid - stack.flame.fixed_temperature_location)))
    return Base(grid, state, pinned)


def _check_width(config: DetailedConfig, grid: Array, temperature: Array) -> None:
    """Refuse a domain that cuts a free flame.

    Raises:
        SolverDiverged: it does.
    """
    mean = (temperature[-1] - temperature[0]) / (grid[-1] - grid[0])
    ends = np.diff(temperature)[[0, -1]] / np.diff(grid)[[0, -1]] / mean
    if ends.max() > STEEP:
        raise SolverDiverged(
            f"the flame does not fit into a domain of {config.length:g} m; make length larger"
        )


def _of_level(config: DetailedConfig, gas: Any, inlet: Inlet, coarse: Base, level: int) -> Base:
    """The flame on cells that are halved or doubled, as often as the level says."""
    grid = coarse.grid
    where = float(grid[coarse.pinned])
    for _ in range(level):
        grid = np.sort(np.concatenate([grid, 0.5 * (grid[1:] + grid[:-1])]))
    for _ in range(-level):
        grid = _every_second(grid, where if coarse.pinned >= 0 else float(grid[0]))
    start = np.stack([np.interp(grid, coarse.grid, row) for row in coarse.state])
    pinned = int(np.argmin(np.abs(grid - where))) if coarse.pinned >= 0 else -1
    begun = Base(grid, start, pinned)
    return Base(grid, solved_from(begun, Stack(config, gas, inlet, grid)), pinned)


def _every_second(grid: Array, kept: float) -> Array:
    """Every second point, counted from one that is kept, and the ends."""
    at = int(np.argmin(np.abs(grid - kept)))
    chosen = np.arange(len(grid)) % 2 == at % 2
    chosen[[0, -1]] = True
    return np.asarray(grid[chosen])


def solved_from(base: Base, stack: Stack) -> Array:
    """The state of a flame with its own inlet and rates, from that of the base.

    Raises:
        SolverDiverged: there is none.
    """
    stack.put(base.state)
    if base.pinned >= 0:
        stack.pin(float(base.state[1, base.pinned]))
        stack.put(base.state)
    return stack.settled()
