"""A flame from nothing: cells and profiles that a cold start begins with, and where it leads."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .adapt import Criteria, adapted
from .equations import Equations, Flame
from .gas import GAS, SPECIES, Reaction
from .grid import Grid
from .kernels import fields_of, kernels_of
from .newton import checked, converged, marched
from .parameters import FLAMMABLE, Parameters, Setting, inlet_density

__all__ = ["Domain", "check_parameters", "cold", "equations_on", "solved_near"]

THICK = 1.6e-3
"""How wide the ramp of temperature is that a free flame begins as, m at one atmosphere."""
GROWTH = 1.3
"""How much longer each cell is than the one before it, away from there."""
SLOW = 0.1
"""The flame speed that it begins with, m s-1."""
EVEN = 60
"""Even cells that a counterflow begins with."""
PRESSURE = -5e3
"""Λ that it begins with for fluxes of one kg m-2 s-1 over 20 mm, Pa m-2."""


@dataclass(frozen=True)
class Domain:
    """Where a flame burns.

    Attributes:
        length: m.
        held: where the temperature of a free flame is fixed, m.
    """

    length: float
    held: float

    def cells(self, counterflow: bool, thickness: float) -> Array:
        """Ends of the cells of a cold start, that place among them."""
        if counterflow:
            return np.linspace(0.0, self.length, EVEN + 1)
        steps = thickness / 8 * np.cumsum(GROWTH ** np.arange(60))
        inside = np.concatenate([self.held - steps, [self.held], self.held + steps])
        edge = thickness / 16
        kept = inside[(inside > edge) & (inside < self.length - edge)]
        return np.sort(np.concatenate([[0.0], kept, [self.length]]))


def equations_on(setting: Setting, reaction: Reaction, domain: Domain, places: Array) -> Equations:
    """The equations on cells with these ends."""
    count = len(fields_of(setting.counterflow))
    grid = Grid(places, count, setting.counterflow)
    held = int(np.argmin(np.abs(grid.x - domain.held)))
    return Equations(setting, kernels_of(setting.counterflow, reaction), grid, held)


def cold(
    setting: Setting, reaction: Reaction, domain: Domain, at: Parameters, criteria: Criteria
) -> tuple[Equations, Flame]:
    """The flame that pseudo-time leads to, on cells that follow it.

    Raises:
        SolverDiverged: there is none, with the reason.
    """
    check_parameters(setting, at)
    with np.errstate(all="ignore"):
        thickness = THICK * 101325.0 / at.pressure
        places = domain.cells(setting.counterflow, min(thickness, domain.length / 4))
        first = equations_on(setting, reaction, domain, places)
        flame = marched(first, at, _start(first, at, thickness))
        return adapted(first, flame, criteria, lambda on, start: solved_near(on, at, start))


def solved_near(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The flame near another one: by Newton's method, else in pseudo-time.

    Raises:
        SolverDiverged: neither leads to one.
    """
    try:
        return checked(equations, at, converged(equations, at, start))
    except SolverDiverged:
        return marched(equations, at, start)


def check_parameters(setting: Setting, at: Parameters) -> None:
    """Refuse parameters that are not positive and of a size to compute with.

    Raises:
        SolverDiverged: names the first one.
    """
    for name, value in asdict(at).items():
        if not 1e-30 < value < 1e30:
            raise SolverDiverged(
                f"{name.replace('_', ' ')} must be positive and finite, got {value:g}"
            )
    low, high = FLAMMABLE
    if not low <= at.equivalence_ratio <= high:
        raise SolverDiverged(
            f"the equivalence ratio must lie in the flammable range {low} to {high}, got "
            f"{at.equivalence_ratio:g}"
        )
    if not setting.counterflow and not at.fixed_temperature > at.inlet_temperature:
        raise SolverDiverged(
            f"the fixed temperature must be above that of the inlet, {at.inlet_temperature:g} K; "
            f"got {at.fixed_temperature:g}"
        )


def _start(equations: Equations, at: Parameters, thickness: float) -> Flame:
    """A ramp from the reactants to burnt gas; of a counterflow, with the other stream behind."""
    setting, x = equations.setting, equations.grid.x
    (hot, end), (begin, _) = setting.burnt(at), setting.inlet(at)
    if not setting.counterflow:
        cold = at.inlet_temperature
        part = (x - x[equations.held]) / thickness + (at.fixed_temperature - cold) / (hot - cold)
        part = np.clip(part, 0, 1)[:, None]
        profile = np.append(cold, begin[:-1]) * (1 - part) + np.append(hot, end[:-1]) * part
        return Flame(profile, SLOW * inlet_density(setting, at)[0])
    return _between_streams(equations, at, (hot, end), begin)


def _between_streams(
    equations: Equations, at: Parameters, burnt: tuple[float, Array], begin: Array
) -> Flame:
    """Burnt gas where both streams meet, and cubic mass fluxes."""
    setting, x = equations.setting, equations.grid.x
    place = x / x[-1]
    up, down = np.clip((place - 0.3) / 0.2, 0, 1), np.clip((place - 0.55) / 0.2, 0, 1)
    left = np.append(at.inlet_temperature, begin)
    right = np.append(at.opposed_temperature, setting.opposed)
    hot = np.append(*burnt)
    profile = left + (hot - left) * up[:, None]
    profile += (right - profile) * down[:, None]
    total = at.mass_flux + at.opposed_mass_flux
    flux = at.mass_flux - total * place**2 * (3 - 2 * place)
    density = at.pressure / (GAS * profile[:, 0] * (profile[:, 1:] / setting.gas.weights).sum(1))
    spread = total / x[-1] * 6 * place * (1 - place) / (2 * density)
    eigenvalue = PRESSURE * (total / 2) ** 2 * (0.02 / x[-1]) ** 2
    return Flame(np.column_stack([profile[:, : len(SPECIES)], spread, flux]), eigenvalue)
