"""Quantities of interest of a flame: its speed, and its profiles at the points of the grid."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.observed import Kind, Sensors
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .config import DetailedConfig
from .inlet import COORDINATES
from .model import DetailedModel
from .quantities import COORDS, KIND, coordinates, kinds_of, observed
from .sensors import sensors_of
from .solver import Solver

__all__ = ["derived_of"]

WORDS = {
    "p": "pressure",
    "T_in": "temperature of the inlet",
    "phi": "equivalence ratio",
    "mass_flux": "mass flux of the inlet",
    "x": "x coordinate",
}


def derived_of(config: DetailedConfig, level: int) -> Derived:
    """Speed, temperature, velocity and mole fractions at the configured state of the inlet."""
    parts = Solver.weighted(config, level)
    solver = parts[0][1]
    x = solver.base(config.inlet).grid
    shown = {n: k for n, k in enumerate(kinds_of(config)) if not k.name.startswith("Y_")}
    counts = [len(x) if "x" in kind.coords else 1 for kind in shown.values()]
    places = np.concatenate([x if count > 1 else np.zeros(1) for count in counts])
    own: Sensors = {KIND: np.repeat(np.array([*shown], float), counts), "x": places}
    sensors = sensors_of(config).at_inlet(config, own)
    spaces = solver.unknown.prior(config).space, observed(config).space(sensors)
    model = DetailedModel(spaces, parts, sensors)
    scale = np.repeat([kind.scale for kind in shown.values()], counts)
    return Derived(_space(config, [*shown.values()], x), lambda m: model(m) * scale)


def _space(config: DetailedConfig, kinds: list[Kind], x: Array) -> Space:
    attrs = {name: {"units": COORDS[name], "long_name": text} for name, text in WORDS.items()}
    state = {short: getattr(config, COORDINATES[short]) for short in coordinates(config)}
    inlet = {short: ((), np.asarray(value)) for short, value in state.items()}
    variables = []
    for kind in kinds:
        along = "x" in kind.coords
        coords = {**({"x": (("place",), x)} if along else {}), **inlet}
        dims, shape = (("place",), (len(x),)) if along else ((), ())
        variables.append(
            Variable(kind.name, dims, shape, kind.units, kind.long_name, coords, attrs)
        )
    return Space(tuple(variables))
