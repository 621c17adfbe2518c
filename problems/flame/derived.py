"""Quantities of interest of a flame: its speed, and its profiles on even places."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived

from .config import FlameConfig
from .derived_space import derived_space
from .equations import Equations
from .model import FlameModel
from .sensors import INLET, KIND, KINDS, OBSERVED, SENSORS
from .unknown import LABELS, prior_of

__all__ = ["derived_of"]

PLACES = 201
"""Of the profiles."""


def derived_of(config: FlameConfig, equations: Equations) -> Derived:
    """Speed, temperature, velocity and mass fraction at the configured state of the inlet."""
    x = np.linspace(0.0, config.length, PLACES)
    counts = [PLACES if "x" in kind.coords else 1 for kind in KINDS]
    numbers = np.repeat(np.arange(len(KINDS), dtype=np.float64), counts)
    places = np.concatenate([x if count > 1 else np.zeros(1) for count in counts])
    sensors = SENSORS.at_inlet(config, {KIND: numbers, "x": places})
    spaces = prior_of(config).space, OBSERVED.space(sensors)
    inlet = {short: float(getattr(config, name)) for short, name in INLET.items()}
    labels = {short: LABELS[name] for short, name in INLET.items()}
    model, scale = FlameModel(spaces, config, equations, sensors), np.repeat(_SCALES, counts)
    return Derived(derived_space(KINDS, x, inlet, labels), lambda m: model(m) * scale)


_SCALES = [kind.scale for kind in KINDS]
