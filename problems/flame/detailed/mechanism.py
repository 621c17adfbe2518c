"""A mechanism as Cantera reads it: its species and reactions by name, and mixtures of the inlet."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, hint
from pdeinv.extras import load
from pdeinv.typing import Array

from .config import DetailedConfig
from .inlet import Inlet
from .mechanism_files import located

__all__ = [
    "FAINTEST",
    "adiabatic",
    "cantera",
    "gas_of",
    "mixture",
    "opposed",
    "reactions",
    "said",
    "too_cold",
]

FAINTEST = 1000.0
"""Mixtures whose burnt gas is colder than this, K, do not carry a flame."""


def cantera() -> Any:
    """The package.

    Raises:
        MissingDependency: it is not installed.
    """
    return load("cantera", "problem 'flame-cantera' needs")


def gas_of(config: DetailedConfig) -> Any:
    """A gas of the mechanism, of its own.

    Raises:
        ConfigError: no such file, no mechanism of a gas, or without a species that is named.
        MissingDependency: Cantera is not installed.
    """
    ct = cantera()
    path = located(config.mechanism)
    if path is None:
        raise ConfigError(
            f"mechanism '{config.mechanism}' is no file, neither here nor among Cantera's; give "
            "the path of a mechanism in YAML, or one such as h2o2.yaml or gri30.yaml"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # thermodynamic fits that jump a little are common
            gas = ct.Solution(str(path), config.phase)
            gas.transport_model = config.transport
    except (ct.CanteraError, RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(f"mechanism {config.mechanism}: {said(error)}") from None
    named = [*config.fuel, *config.oxidizer, *config.opposed.composition, *config.species]
    _check_species(config, gas.species_names, named)
    return gas


def said(error: Exception) -> str:
    """The sentence of one of Cantera's errors, which frame it with stars over many lines."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("***", "CanteraError thrown"))]
    return " ".join(kept)[:200] or type(error).__name__


def _check_species(config: DetailedConfig, known: list[str], named: Iterable[str]) -> None:
    for name in named:
        if name not in known:
            raise ConfigError(
                f"mechanism {config.mechanism} has no species '{name}'; {hint(name, known)}"
            )


def reactions(config: DetailedConfig, gas: Any, named: str) -> list[int]:
    """The reactions of an equation, all that have it, or the one of an index.

    Raises:
        ConfigError: no such reaction.
    """
    if named.strip().isdigit():
        if int(named) < gas.n_reactions:
            return [int(named)]
        raise ConfigError(
            f"mechanism {config.mechanism} has no reaction {named}; they run from 0 to "
            f"{gas.n_reactions - 1}"
        )
    equations = [_plain(text) for text in gas.reaction_equations()]
    found = [i for i, text in enumerate(equations) if text == _plain(named)]
    if not found:
        near = hint(named, gas.reaction_equations())
        raise ConfigError(f"mechanism {config.mechanism} has no reaction '{named}'; {near}")
    return found


def _plain(equation: str) -> str:
    return "".join(equation.split())


def mixture(config: DetailedConfig, gas: Any, inlet: Inlet) -> Array:
    """Mass fractions at the first inlet; leaves the gas in its state there."""
    gas.TP = inlet.inlet_temperature, inlet.pressure
    if config.premixed:
        gas.set_equivalence_ratio(inlet.equivalence_ratio, config.fuel, config.oxidizer)
    else:
        gas.X = config.fuel
    return np.array(gas.Y)


def opposed(config: DetailedConfig, gas: Any, inlet: Inlet) -> tuple[float, Array]:
    """Temperature and mass fractions at the second inlet of counterflow flames."""
    mixture(config, gas, inlet)
    given = config.opposed.composition
    if config.premixed and not given:
        gas.equilibrate("HP")
        burnt: float = gas.T
        return config.opposed.temperature or burnt, np.array(gas.Y)
    gas.X = given or config.oxidizer
    return config.opposed.temperature or inlet.inlet_temperature, np.array(gas.Y)


def too_cold(config: DetailedConfig, gas: Any, inlet: Inlet) -> str:
    """Why a mixture carries no flame: its burnt gas is too cold; empty where it may burn."""
    if config.temperatures.x:
        return ""
    burnt = adiabatic(config, gas, inlet)
    if burnt >= FAINTEST:
        return ""
    return (
        f"phi = {inlet.equivalence_ratio:g} lies outside the flammable range: burnt gas of "
        f"{burnt:.0f} K carries no flame (at least {FAINTEST:g} K)"
    )


def adiabatic(config: DetailedConfig, gas: Any, inlet: Inlet) -> float:
    """Temperature of burnt gas, K; that of a stoichiometric mixture for diffusion flames."""
    at = inlet if config.premixed else inlet._replace(equivalence_ratio=1.0)
    gas.TP = at.inlet_temperature, at.pressure
    gas.set_equivalence_ratio(at.equivalence_ratio, config.fuel, config.oxidizer)
    gas.equilibrate("HP")
    found: float = gas.T
    return found
