"""Quantities of interest of a flame: its speed, and its profiles on even places."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.observed import Sensors
from pdeinv.model.spaces import Space, Variable

from .config import FlameConfig
from .equations import Equations
from .model import FlameModel
from .sensors import INLET, KIND, KINDS, OBSERVED
from .unknown import LABELS, prior_of

__all__ = ["derived_of"]

PLACES = 201
"""Of the profiles."""


def derived_of(config: FlameConfig, equations: Equations) -> Derived:
    """Speed, temperature, velocity and mass fraction at the configured state of the inlet."""
    x = np.linspace(0.0, config.length, PLACES)
    counts = [PLACES if "x" in kind.coords else 1 for kind in KINDS]
    numbers = np.repeat(np.arange(len(KINDS), dtype=np.float64), counts)
    n = len(numbers)
    inlet = {short: np.full(n, getattr(config, name)) for short, name in INLET.items()}
    places = np.concatenate([x if count > 1 else np.zeros(1) for count in counts])
    sensors: Sensors = {KIND: numbers, "x": places, **inlet}
    spaces = prior_of(config).space, OBSERVED.space(sensors)
    model, scale = FlameModel(spaces, config, equations, sensors), np.repeat(_SCALES, counts)
    return Derived(_space(config, x), lambda m: model(m) * scale)


_SCALES = [kind.scale for kind in KINDS]


def _space(config: FlameConfig, x: np.ndarray) -> Space:
    inlet = {short: ((), np.asarray(getattr(config, name))) for short, name in INLET.items()}
    attrs = {short: {"units": LABELS[name][0], "long_name": LABELS[name][1]}
             for short, name in INLET.items()}  # fmt: skip
    attrs["x"] = {"units": "m", "long_name": "x coordinate"}
    variables = []
    for kind in KINDS:
        along = "x" in kind.coords
        coords = {**({"x": (("place",), x)} if along else {}), **inlet}
        dims, shape = (("place",), (PLACES,)) if along else ((), ())
        variables.append(
            Variable(kind.name, dims, shape, kind.units, kind.long_name, coords, attrs)
        )
    return Space(tuple(variables))
