"""Flames of five species as labelled datasets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import Layout
from pdeinv.typing import Array

from ..inlet_sensors import SPEED
from .config import SpeciesConfig
from .equations import Flame
from .flames import setting_of
from .gas import SPECIES
from .model import Solved
from .parameters import Parameters, inlet_density
from .sensors import KINDS, NUMBERS, measured
from .start import equations_on
from .strain import strain_rate
from .unknown import LABELS

__all__ = ["EIGENVALUES", "STRAIN", "VARIABLES", "solved_in", "to_dataset"]

FLUX = "mass_flux_of_gas"
"""ρ u, which of a counterflow is a field."""

VARIABLES = frozenset({"T", FLUX})
"""What a dataset of a flame has at least."""

AT = "of_flame_"
"""What precedes the names of parameters, which groups of unknowns have as well."""

EIGENVALUES = {
    False: (SPEED, "m s-1", "laminar flame speed"),
    True: ("Lambda", "Pa m-2", "radial curvature of the pressure"),
}
"""Name, units and words of the eigenvalue, by whether two streams meet."""

STRAIN = ("strain_rate", "s-1", "strain rate of the reactants ahead of the flame")
"""Name, units and words of what else is told of a counterflow."""


def to_dataset(config: SpeciesConfig, level: int, solved: Solved) -> xr.Dataset:
    """The profiles at the nodes, the eigenvalue, and the parameters that they belong to."""
    grid, flame, at = solved.equations.grid, solved.flame, solved.at
    numbers = np.arange(grid.nodes)
    layout = Layout(grid.x[:, None], np.stack([numbers[:-1], numbers[1:]], axis=1), "P2", "m")
    variables = {
        kind.name: layout.node(profile(solved, kind.name), kind.units, kind.long_name)
        for kind in measured(config.counterflow)
        if "x" in kind.coords
    }
    flux = flame.values[:, 6] if config.counterflow else np.full(grid.nodes, flame.eigenvalue)
    name, units, words = EIGENVALUES[config.counterflow]
    value = flame.eigenvalue
    if not config.counterflow:
        value /= inlet_density(solved.equations.setting, at)[0]
    more: dict[str, Any] = {
        FLUX: layout.node(flux, "kg m-2 s-1", "mass flux of the gas"),
        name: ((), value, {"units": units, "long_name": words}),
    }
    if config.counterflow:
        strain = strain_rate(solved.equations, at, flame)
        more[STRAIN[0]] = ((), strain, {"units": STRAIN[1], "long_name": STRAIN[2]})
    given = {
        AT + key: ((), number, {"units": LABELS[key][0], "long_name": LABELS[key][1]})
        for key, number in asdict(at).items()
    }
    return layout.dataset({**variables, **more, **given}, {}, ("flame-species", config, level))


def profile(solved: Solved, name: str) -> Array:
    """One quantity at the nodes."""
    x = solved.equations.grid.x
    number = NUMBERS[name]
    found = solved.reading((np.full(len(x), number), x))
    return found.values * KINDS[number].scale


def solved_in(fields: xr.Dataset, config: SpeciesConfig) -> Solved:
    """The flame of a dataset, with its parameters.

    Raises:
        DataSchemaError: something is missing, or of another shape.
    """
    counterflow = config.counterflow
    names = ["T", *(f"Y_{name}" for name in SPECIES[:-1]), *(["V", FLUX] if counterflow else [])]
    given = [AT + name for name in Parameters.__dataclass_fields__]
    lost = [name for name in (*names, *given, EIGENVALUES[counterflow][0]) if name not in fields]
    if lost:
        raise DataSchemaError(f"'{lost[0]}' is missing; solve again")
    x, values = np.asarray(fields["x"]), [np.asarray(fields[name]) for name in names]
    if len(x) % 2 == 0 or any(v.shape != x.shape for v in values) or not (np.diff(x) > 0).all():
        raise DataSchemaError("the nodes of the flame are not those of quadratic cells along x; "
                              "solve again")  # fmt: skip
    at = Parameters(*(float(fields[name]) for name in given))
    setting = setting_of(config)
    eigenvalue = float(fields[EIGENVALUES[counterflow][0]])
    if not counterflow:
        eigenvalue *= inlet_density(setting, at)[0]
    equations = equations_on(setting, config.law, config.domain, x[::2])
    return Solved(equations, at, Flame(np.stack(values, axis=1), eigenvalue))
