"""The known flame of a configuration at one state of the inlet, on the cells of a mesh level."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import lru_cache

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.typing import Array

from ..number_priors import spread_of
from .adapt import Criteria, adapted, moved_to
from .config import SpeciesConfig
from .continuation import Continuation, Found
from .gas import coefficients
from .newton import checked, converged
from .parameters import Parameters, Setting
from .start import cold, solved_near

__all__ = ["continuation", "setting_of"]

WAY = 4
"""Steps to where the prior of a parameter reaches."""
ON_THE_WAY = Criteria(0.1, 0.2)
"""Of the cells there."""
EASY, LEAST = 0.5, 0.005
"""Part of the mass fluxes that a flame close to going out is found from, and the least step."""
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
        level: each level up halves cells; each below zero joins two.
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
        return _from_nothing(config, other)

    try:
        equations, flame = from_nothing(at)
        if config.counterflow:
            equations, flame = _covered(config, at, (equations, flame))
        if level < 0:
            places = _thinned(equations.grid.places, config.domain.held, 2**-level)
            equations, start = moved_to(equations, flame, places)
            flame = solved_near(equations, at, start)
        for _ in range(level):
            equations, start = moved_to(equations, flame, _halved(equations.grid.places))
            flame = solved_near(equations, at, start)
    except SolverDiverged as error:
        raise ConfigError(f"no flame at the middle of the priors: {error}") from None
    return Continuation(equations, at, flame, from_nothing)


def _from_nothing(config: SpeciesConfig, at: Parameters) -> Found:
    """A flame by pseudo-time; of a counterflow that is close to going out, from smaller fluxes.

    Raises:
        SolverDiverged: there is none.
    """
    try:
        return cold(setting_of(config), config.law, config.domain, at, config.criteria)
    except SolverDiverged:
        if not config.counterflow:
            raise
        found = cold(
            setting_of(config), config.law, config.domain, _weaker(at, EASY), config.criteria
        )
        return _climbed(config, at, found)


def _weaker(at: Parameters, part: float) -> Parameters:
    """With a part of the mass fluxes."""
    fluxes = part * at.mass_flux, part * at.opposed_mass_flux
    return replace(at, mass_flux=fluxes[0], opposed_mass_flux=fluxes[1])


def _climbed(config: SpeciesConfig, at: Parameters, found: Found) -> Found:
    """The flame of growing fluxes, by steps that are halved where one fails.

    Raises:
        SolverDiverged: it goes out on the way.
    """
    part, step = EASY, 0.1
    while part < 1:
        new = min(part + step, 1.0)
        now = _weaker(at, new)
        try:
            equations, flame = found
            flame = checked(equations, now, converged(equations, now, flame))
            found = adapted(
                equations, flame, config.criteria,
                lambda on, start, now=now: checked(on, now, converged(on, now, start)),  # type: ignore[misc]
            )  # fmt: skip
        except SolverDiverged:
            step /= 2
            if step < LEAST:
                raise SolverDiverged(
                    f"the flame is extinguished: it goes out at {100 * part:.0f} % of the mass "
                    "fluxes; take smaller ones, or other parameters"
                ) from None
        else:
            part = new
    return found


def _covered(config: SpeciesConfig, at: Parameters, found: Found) -> Found:
    """The flame on cells that also follow those that the priors of each parameter reach.

    Nothing holds the flame of a counterflow at its place: it moves with the parameters.
    """
    places = found[0].grid.places
    for name, prior in config.unknown.sought.items():
        for end in spread_of(prior):
            places = np.union1d(places, _followed(replace(at, **{name: end}), at, found))
    equations, start = moved_to(*found, places)
    return equations, solved_near(equations, at, start)


def _followed(other: Parameters, at: Parameters, found: Found) -> Array:
    """Ends of cells that follow flames on the way to other parameters, as far as these burn."""
    equations, flame = found
    start, end = (np.array(list(asdict(p).values())) for p in (at, other))
    if not (end > 0).all():
        return equations.grid.places
    for part in np.linspace(0, 1, WAY + 1)[1:]:
        now = Parameters(*np.exp(np.log(start) * (1 - part) + np.log(end) * part).tolist())
        try:
            equations, flame = adapted(
                equations,
                solved_near(equations, now, flame),
                ON_THE_WAY,
                lambda on, guess, now=now: solved_near(on, now, guess),  # type: ignore[misc]
            )
        except SolverDiverged:
            break
    return equations.grid.places


def _thinned(places: Array, held: float, every: int) -> Array:
    """Every other place and so on, those kept where a free flame is held and at the ends."""
    numbers = np.arange(len(places)) - int(np.argmin(np.abs(places - held)))
    kept = numbers % every == 0
    kept[[0, -1]] = True
    return np.asarray(places[kept])


def _halved(places: Array) -> Array:
    return np.sort(np.append(places, 0.5 * (places[1:] + places[:-1])))
