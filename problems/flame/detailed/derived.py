"""Quantities of interest of a flame: its speed, and its profiles at the points of the grid."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.observed import Sensors

from ..derived_space import derived_space
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
}


def derived_of(config: DetailedConfig, level: int) -> Derived:
    """Speed, temperature, velocity and mole fractions at the configured state of the inlet."""
    parts = Solver.weighted(config, level)
    solver = parts[0][1]
    shift = config.unknown.shift
    # the places are those of data
    x = solver.base(config.inlet).grid + (0.0 if shift is None else shift.mean)
    shown = {n: k for n, k in enumerate(kinds_of(config)) if not k.name.startswith("Y_")}
    counts = [len(x) if "x" in kind.coords else 1 for kind in shown.values()]
    places = np.concatenate([x if count > 1 else np.zeros(1) for count in counts])
    own: Sensors = {KIND: np.repeat(np.array([*shown], float), counts), "x": places}
    sensors = sensors_of(config).at_inlet(config, own)
    spaces = solver.unknown.prior(config).space, observed(config).space(sensors)
    model = DetailedModel(spaces, parts, sensors)
    scale = np.repeat([kind.scale for kind in shown.values()], counts)
    labels = {name: (COORDS[name], text) for name, text in WORDS.items()}
    inlet = {short: float(getattr(config, COORDINATES[short])) for short in coordinates(config)}
    space = derived_space([*shown.values()], x, inlet, labels)
    return Derived(space, lambda m: model(m) * scale)
