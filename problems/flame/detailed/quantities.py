"""What may be measured of a flame: its speed, profiles of temperature, velocity and species."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.model.observed import Kind, Observed
from pdeinv.typing import Array

from ..inlet_sensors import KIND, SPEED
from .config import DetailedConfig
from .inlet import COORDINATES

__all__ = ["COORDS", "KIND", "NAME", "coordinates", "kinds_of", "nodal", "nodal_slopes", "observed"]

NAME = "flame_data"

COORDS = {KIND: "1", "x": "m", "p": "Pa", "T_in": "K", "phi": "1", "mass_flux": "kg m-2 s-1"}
"""Units of the coordinates of data."""


def coordinates(config: DetailedConfig) -> tuple[str, ...]:
    """Those entries of the state of the inlet that tell experiments of a configuration apart."""
    without = {"free": "mass_flux", "diffusion": "phi"}.get(config.configuration)
    return tuple(name for name in COORDINATES if name != without)


def kinds_of(config: DetailedConfig) -> tuple[Kind, ...]:
    """What data may be, in the order of their numbers; values are over the scale of their kind."""
    at = coordinates(config)
    speed = (Kind(SPEED, "m s-1", "laminar flame speed", 1.0, at),)
    profiles = [
        Kind("T", "K", "temperature", 1024.0, ("x", *at)),
        Kind("u", "m s-1", "velocity of the gas", 1.0, ("x", *at)),
    ]
    for short, words in (("X", "mole"), ("Y", "mass")):
        profiles += [
            Kind(f"{short}_{name}", "1", f"{words} fraction of {name}", 0.125, ("x", *at))
            for name in config.species
        ]
    return (*(speed if config.configuration == "free" else ()), *profiles)


def observed(config: DetailedConfig) -> Observed:
    """The quantities of a configuration."""
    kinds = kinds_of(config)
    told = ", ".join(f"{n} {k.name} ({k.scale:g} {k.units})" for n, k in enumerate(kinds))
    return Observed(
        NAME, "1", f"measurements of flames by quantity: {told}", COORDS, kinds=kinds, kind=KIND
    )


@dataclass(frozen=True)
class Layout:
    """Rows of a state.

    Attributes:
        names: of all rows.
        species: names of the last ones, mass fractions.
        weights: molar mass of each species.
    """

    names: tuple[str, ...]
    species: tuple[str, ...]
    weights: Array

    def row(self, species: str) -> int:
        """That of a species."""
        return len(self.names) - len(self.species) + self.species.index(species)

    @property
    def fractions(self) -> slice:
        """Those of all species."""
        return slice(len(self.names) - len(self.species), len(self.names))


def nodal(kind: str, state: Array, layout: Layout) -> Array:
    """A quantity at the points of the grid, (n,), of a state (names, n)."""
    if kind in ("T", "u", "s_L"):
        return np.asarray(state[1 if kind == "T" else 0])
    part, _, species = kind.partition("_")
    own = state[layout.row(species)]
    if part == "Y":
        return np.asarray(own)
    moles = np.tensordot(1.0 / layout.weights, state[layout.fractions], axes=1)
    return np.asarray(own / layout.weights[layout.species.index(species)] / moles)


def nodal_slopes(kind: str, state: Array, slopes: Array, layout: Layout) -> Array:
    """The same for a change of the state: (names, n, k) to (n, k)."""
    if not kind.startswith("X_"):
        return nodal(kind, slopes, layout)
    species = kind.removeprefix("X_")
    inverse = 1.0 / layout.weights
    moles = np.tensordot(inverse, state[layout.fractions], axes=1)
    change = np.tensordot(inverse, slopes[layout.fractions], axes=1)
    own = slopes[layout.row(species)] * inverse[layout.species.index(species)]
    fraction = nodal(kind, state, layout)
    return np.asarray((own - fraction[:, None] * change) / moles[:, None])
