"""The unknown m: those parameters of a flame of five species that have a prior."""

from __future__ import annotations

from dataclasses import replace

from pdeinv.bayes.prior import Prior
from pdeinv.typing import Array

from ..number_priors import prior_of_numbers
from .config import SpeciesConfig
from .parameters import NAMES, Parameters

__all__ = ["LABELS", "columns", "parameters", "prior_of"]

LABELS = {
    "pre_exponential": (
        "1", "pre-exponential factor, for concentrations in mol m-3 and rates in mol m-3 s-1"
    ),
    "activation_energy": ("J mol-1", "activation energy"),
    "conductivity_scale": ("1", "factor of the thermal conductivity"),
    "viscosity_scale": ("1", "factor of the viscosity"),
    "diffusivity_scale": ("1", "factor of all coefficients of diffusion"),
    "equivalence_ratio": ("1", "equivalence ratio"),
    "pressure": ("Pa", "pressure"),
    "inlet_temperature": ("K", "temperature of the reactants"),
    "fixed_temperature": ("K", "temperature at the place where the flame is held"),
    "mass_flux": ("kg m-2 s-1", "mass flux of the reactants"),
    "opposed_mass_flux": ("kg m-2 s-1", "mass flux of the other stream"),
    "opposed_temperature": ("K", "temperature of the other stream"),
}  # fmt: skip
"""Units and words of each parameter."""


def prior_of(config: SpeciesConfig) -> Prior:
    """Independent numbers."""
    return prior_of_numbers(config.unknown.sought, LABELS)


def columns(config: SpeciesConfig) -> list[int]:
    """Where the entries of m stand among all parameters."""
    return [NAMES.index(name) for name in config.sought]


def parameters(config: SpeciesConfig, m: Array) -> Parameters:
    """All parameters of m (n_m,), for the state of the inlet that is configured."""
    return replace(config.known, **dict(zip(config.sought, m.tolist(), strict=True)))
