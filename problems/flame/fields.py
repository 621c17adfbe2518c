"""Flames as labelled datasets."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import Layout
from pdeinv.typing import Array

from .chemistry import Parameters, gas
from .config import FlameConfig
from .equations import Flame
from .model import Solved
from .unknown import LABELS

__all__ = ["VARIABLES", "solved_in", "to_dataset"]

VARIABLES = frozenset({"T", "s_L"})
"""What a dataset of a flame has at least."""

AT = "of_flame_"
"""What precedes the names of parameters, which groups of unknowns have as well."""


def to_dataset(config: FlameConfig, level: int, solved: Solved) -> xr.Dataset:
    """The profiles at the nodes, the flame speed, and the parameters that they belong to."""
    x, flame = solved.equations.elements.x, solved.flame
    found = gas(solved.equations.mixture, solved.at, flame.temperature, flame.speed)
    numbers = np.arange(len(x))
    layout = Layout(x[:, None], np.stack([numbers[:-1], numbers[1:]], axis=1), "P2", "m")
    profiles = {
        "T": (flame.temperature, "K", "temperature"),
        "u": (found.velocity, "m s-1", "velocity of the gas"),
        "Y": (found.fraction, "1", "mass fraction of fuel"),
        "density": (found.flux / found.velocity, "kg m-3", "density of the gas"),
        "rate": (found.rate, "kg m-3 s-1", "rate at which fuel is consumed"),
    }
    variables = {name: layout.node(*labels) for name, labels in profiles.items()}
    speed = ((), flame.speed, {"units": "m s-1", "long_name": "laminar flame speed"})
    given = {
        AT + name: ((), value, {"units": LABELS[name][0], "long_name": LABELS[name][1]})
        for name, value in asdict(solved.at).items()
    }
    return layout.dataset({**variables, "s_L": speed, **given}, {}, ("flame", config, level))


def solved_in(fields: xr.Dataset, size: int) -> tuple[Parameters, Flame]:
    """The flame of a dataset, with its parameters.

    Raises:
        DataSchemaError: one is missing, or it has another number of nodes.
    """
    names = list(Parameters.__dataclass_fields__)
    lost = [name for name in names if AT + name not in fields]
    if lost:
        raise DataSchemaError(f"'{AT}{lost[0]}' is missing; solve again")
    temperature: Array = np.asarray(fields["T"], dtype=np.float64)
    if temperature.shape != (size,):
        raise DataSchemaError(
            f"'T' has shape {temperature.shape}, its level has {size} nodes; solve again"
        )
    at = Parameters(*(float(fields[AT + name]) for name in names))
    return at, Flame(temperature, float(fields["s_L"]))
