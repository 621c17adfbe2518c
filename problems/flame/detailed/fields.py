"""Flames with detailed chemistry as labelled datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import Layout as Mesh
from pdeinv.typing import Array

from .inlet import Inlet
from .quantities import nodal
from .solver import Solver, layout_of
from .stack import names_of
from .unknown import LABELS, OFFSET, OFFSET_LABELS

__all__ = ["AT", "VARIABLES", "state_in", "to_dataset", "unknown_in"]

VARIABLES = frozenset({"T", "u"})
"""What a dataset of such a flame has at least."""

AT = "of_flame_"
"""What precedes the names of its parameters, which groups of unknowns have as well."""

WORDS = {
    "velocity": ("u", "m s-1", "velocity of the gas"),
    "T": ("T", "K", "temperature"),
    "spreadRate": ("radial_rate", "s-1", "radial velocity over the radius"),
    "Lambda": ("pressure_curvature", "Pa m-2", "radial pressure curvature"),
}
"""Name, units and words in files by the name of the row of a state."""


def to_dataset(solver: Solver, at: Inlet, m: Array, state: Array) -> xr.Dataset:
    """Profiles at the points, at places of data; of a free flame its speed as well.

    Raises:
        SolverDiverged: the derivative failed.
    """
    x, config = solver.base(at).grid + solver.unknown.offset(m), solver.config
    numbers = np.arange(len(x))
    mesh = Mesh(x[:, None], np.stack([numbers[:-1], numbers[1:]], axis=1), "P1", "m")
    rows = names_of(config, solver.gas)
    profiles = {_labels(name)[0]: mesh.node(row, *_labels(name)[1:])
                for name, row in zip(rows, state, strict=True)}  # fmt: skip
    layout = layout_of(config, solver.gas)
    for name in config.species:
        moles = nodal(f"X_{name}", state, layout)
        profiles[f"X_{name}"] = mesh.node(moles, "1", f"mole fraction of {name}")
    given = _parameters(solver, at, m)
    speed = {}
    if config.configuration == "free":
        labels = {"units": "m s-1", "long_name": "laminar flame speed"}
        speed = {"s_L": ((), float(state[0, 0]), labels), **_sensitivity(solver, at, m, state)}
    return mesh.dataset({**profiles, **speed, **given}, {}, ("flame-cantera", config, solver.level))


def _labels(row: str) -> tuple[str, str, str]:
    return WORDS.get(row, (f"Y_{row}", "1", f"mass fraction of {row}"))


def _parameters(solver: Solver, at: Inlet, m: Array) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one, value in zip(solver.unknown.rates, m.tolist(), strict=False):
        units, words = one.labels
        found[AT + one.name] = ((), value, {"units": units, "long_name": words})
    inlet = solver.unknown.inlet(at, m)
    for name, (units, words) in LABELS.items():
        found[AT + name] = ((), getattr(inlet, name), {"units": units, "long_name": words})
    if solver.unknown.shifted:
        units, words = OFFSET_LABELS
        place = {"units": units, "long_name": words}
        found[AT + OFFSET] = ((), solver.unknown.offset(m), place)
    return found


def _sensitivity(solver: Solver, at: Inlet, m: Array, state: Array) -> dict[str, Any]:
    """d ln s_L by d ln k of each reaction."""
    equations = list(solver.gas.reaction_equations())
    slopes = solver.by_each(at, m, state) / state[0, 0]
    words = "sensitivity of the flame speed to rate constants, d ln s_L / d ln k"
    return {
        "sensitivity": (("reaction",), slopes, {"units": "1", "long_name": words}),
        "equation": (
            ("reaction",),
            np.array([f"{i}: {text}" for i, text in enumerate(equations)], dtype=object),
            {"units": "1", "long_name": "reaction, by its index in the mechanism"},
        ),
    }


def unknown_in(fields: xr.Dataset, solver: Solver) -> Array:
    """The unknown that a dataset was solved for.

    Raises:
        DataSchemaError: part of it is missing.
    """
    names = solver.unknown.names
    lost = [name for name in names if AT + name not in fields]
    if lost:
        raise DataSchemaError(f"'{AT}{lost[0]}' is missing; solve again")
    return np.array([float(fields[AT + name]) for name in names])


def state_in(fields: xr.Dataset, solver: Solver, at: Inlet) -> Array:
    """The state of a dataset.

    Raises:
        DataSchemaError: a profile is missing, or has another number of points.
    """
    rows = names_of(solver.config, solver.gas)
    points = len(solver.base(at).grid)
    found = []
    for row in rows:
        name = _labels(row)[0]
        if name not in fields or fields[name].shape != (points,):
            raise DataSchemaError(
                f"'{name}' is missing, or not at the {points} points of its level; solve again"
            )
        found.append(np.asarray(fields[name], dtype=np.float64))
    return np.stack(found)
