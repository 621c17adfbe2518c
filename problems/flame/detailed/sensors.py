"""Sensors of flames with detailed chemistry: from text and tables, and what is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdeinv.model.observed import Sensors

from ..config import COLDEST, PRESSURES
from ..inlet_sensors import InletSensors
from .config import DetailedConfig
from .inlet import COORDINATES, Inlet
from .quantities import coordinates, kinds_of, observed

__all__ = ["ENDS", "experiments", "sensors_of"]

ENDS = {
    "p": (*PRESSURES, f"from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa (is it in atm or bar?)"),
    "T_in": (COLDEST, 1500.0, f"from {COLDEST:g} to 1500 K (is it in degrees Celsius?)"),
    "phi": (1e-3, 1e3, "from 0.001 to 1000"),
    "mass_flux": (1e-6, 1e4, "from 1e-6 to 1e4 kg m-2 s-1"),
}
"""The least and the largest of each entry of the state of the inlet, and words for it."""


def sensors_of(config: DetailedConfig) -> InletSensors:
    """How the sensors of a configuration are told and checked."""
    names = ", ".join(k.name for k in kinds_of(config) if "x" in k.coords)
    speed = "speed or speed:PHI,PHI,...; " if config.configuration == "free" else ""
    wanted = (
        f"PLACES or PLACES@QUANTITIES, such as grid:20@T, with quantities among {names} (more "
        f"species by problem.species); {speed}several of these joined by +; or a CSV file with a "
        "header of quantity and x, and of p, T_in, phi and mass_flux where they differ"
    )
    states = {short: COORDINATES[short] for short in coordinates(config)}
    return InletSensors(observed(config), ENDS, ("T",), wanted, states, config.slack)


def experiments(config: DetailedConfig, sensors: Sensors) -> dict[Inlet, NDArray[np.int64]]:
    """The data of each state of the inlet, by their numbers, in the order of their appearance.

    What is sought of a state is there in the middle of its prior.
    """
    middle, told = config.inlet, coordinates(config)
    columns = []
    for short, name in COORDINATES.items():
        own = np.asarray(sensors[short], dtype=np.float64)
        fixed = short in told and name not in config.unknown.states
        columns.append(own if fixed else np.full(len(own), getattr(middle, name)))
    found: dict[Inlet, list[int]] = {}
    for i, row in enumerate(np.stack(columns, axis=1).tolist()):
        found.setdefault(Inlet(*row), []).append(i)
    return {at: np.array(rows, dtype=np.int64) for at, rows in found.items()}
