"""Quantities of interest of a flame of five species: its eigenvalue, and profiles."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.observed import Kind
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..derived_space import derived_space
from ..inlet_sensors import INLET
from .config import SpeciesConfig
from .continuation import Continuation
from .fields import EIGENVALUES, STRAIN
from .model import Solved
from .parameters import inlet_density
from .sensors import KINDS, NUMBERS, measured
from .strain import strain_rate
from .unknown import LABELS, parameters

__all__ = ["derived_of"]

PLACES = 201
"""Of the profiles."""


def derived_of(config: SpeciesConfig, known: Continuation) -> Derived:
    """Eigenvalue and profiles at the configured state of the inlet."""
    x = np.linspace(0.0, config.length, PLACES)
    names = [kind.name for kind in measured(config.counterflow) if "x" in kind.coords]
    numbers = np.repeat([NUMBERS[name] for name in names], PLACES)
    places = np.tile(x, len(names))
    scale = np.array([KINDS[k].scale for k in numbers])

    def values(m: Array) -> Array:
        at = parameters(config, m)
        solved = Solved(known.equations, at, known(at))
        found = scale * solved.reading((numbers, places)).values
        return np.concatenate([_of_all(config, solved), found])

    return Derived(_space(config, x, names), values)


def _of_all(config: SpeciesConfig, solved: Solved) -> list[float]:
    """What a flame has once: s_L, or Λ and the strain rate."""
    eigenvalue = solved.flame.eigenvalue
    if config.counterflow:
        return [eigenvalue, strain_rate(solved.equations, solved.at, solved.flame)]
    return [eigenvalue / inlet_density(solved.equations.setting, solved.at)[0]]


def _space(config: SpeciesConfig, x: Array, names: list[str]) -> Space:
    inlet = {short: float(getattr(config, name)) for short, name in INLET.items()}
    labels = {short: LABELS[name] for short, name in INLET.items()}
    once = [EIGENVALUES[config.counterflow], *([STRAIN] if config.counterflow else [])]
    kinds = [Kind(*words, 1.0, (*INLET,)) for words in once]
    return derived_space([*kinds, *(KINDS[NUMBERS[n]] for n in names)], x, inlet, labels)
