"""Quantities of interest of a flame: its speed, and its profiles on even places."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.observed import Sensors
from pdeinv.model.spaces import Space, Variable

from .config import DetailedConfig
from .inlet import COORDINATES
from .model import DetailedModel, Solver
from .quantities import COORDS, KIND, coordinates, kinds_of, observed

__all__ = ["derived_of"]

PLACES = 201
"""Of the profiles."""


def derived_of(config: DetailedConfig, solver: Solver) -> Derived:
    """All that may be measured, at the configured state of the inlet."""
    x, kinds = np.linspace(0.0, config.length, PLACES), kinds_of(config)
    counts = [PLACES if "x" in kind.coords else 1 for kind in kinds]
    told = coordinates(config)
    state = {
        short: np.full(sum(counts), getattr(config, name) if short in told else 0.0)
        for short, name in COORDINATES.items()
    }
    places = np.concatenate([x if count > 1 else np.zeros(1) for count in counts])
    numbers = np.repeat(np.arange(len(kinds), dtype=np.float64), counts)
    sensors: Sensors = {KIND: numbers, "x": places, **state}
    spaces = solver.unknown.prior(config).space, observed(config).space(sensors)
    model = DetailedModel(spaces, solver, sensors)
    scale = np.repeat([kind.scale for kind in kinds], counts)
    return Derived(_space(config, x), lambda m: model(m) * scale)


def _space(config: DetailedConfig, x: np.ndarray) -> Space:
    words = {"p": "pressure", "T_in": "temperature of the inlet", "phi": "equivalence ratio",
             "mass_flux": "mass flux of the inlet", "x": "x coordinate"}  # fmt: skip
    attrs = {name: {"units": COORDS[name], "long_name": text} for name, text in words.items()}
    inlet = {
        short: ((), np.asarray(getattr(config, COORDINATES[short])))
        for short in coordinates(config)
    }
    variables = []
    for kind in kinds_of(config):
        along = "x" in kind.coords
        coords = {**({"x": (("place",), x)} if along else {}), **inlet}
        dims, shape = (("place",), (PLACES,)) if along else ((), ())
        variables.append(
            Variable(kind.name, dims, shape, kind.units, kind.long_name, coords, attrs)
        )
    return Space(tuple(variables))
