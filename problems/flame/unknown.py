"""The unknown m: those parameters of the flame that have a prior."""

from __future__ import annotations

from dataclasses import replace

from pdeinv.bayes.prior import Prior
from pdeinv.typing import Array

from .chemistry import NAMES, Parameters
from .config import FlameConfig
from .number_priors import prior_of_numbers

__all__ = ["LABELS", "columns", "parameters", "prior_of"]

LABELS = {
    "conductivity": ("W m-1 K-1", "thermal conductivity"),
    "activation_energy": ("J mol-1", "activation energy"),
    "pre_exponential": ("1", "pre-exponential factor, for densities in kg m-3 and rates in s-1"),
    "inlet_gradient": ("K m-1", "temperature gradient at the inlet"),
    "equivalence_ratio": ("1", "equivalence ratio"),
    "pressure": ("Pa", "pressure at the inlet"),
    "inlet_temperature": ("K", "temperature at the inlet"),
}
"""Units and words of each parameter."""


def prior_of(config: FlameConfig) -> Prior:
    """Independent numbers."""
    return prior_of_numbers(config.unknown.sought, LABELS)


def columns(config: FlameConfig) -> list[int]:
    """Where the entries of m stand among all parameters."""
    return [NAMES.index(name) for name in config.unknown.sought]


def parameters(config: FlameConfig, m: Array) -> Parameters:
    """All parameters of m (n_m,), for the state of the inlet that is configured."""
    return replace(config.known, **dict(zip(config.unknown.sought, m.tolist(), strict=True)))
