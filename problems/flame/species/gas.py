"""Numbers of a gas of five species that burns in one step, taken from Cantera.

Thermodynamics and the fits of transport are those of Cantera's own solution of the species of
GRI-Mech 3.0, so that Cantera's flames solve the same equations. Nothing of them is kept here.

Source: Wu et al., FlamePINN-1D (2025), cases 2 and 3; Goodwin et al., Cantera 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pdeinv import extras
from pdeinv.typing import Array

__all__ = [
    "GAS",
    "SPECIES",
    "STEP",
    "Coefficients",
    "Reaction",
    "coefficients",
    "mixed",
    "solution",
]

SPECIES = ("O2", "H2O", "CH4", "CO2", "N2")
"""In the order of all arrays; the fraction of the last one follows from the others."""

STEP = (-2.0, 2.0, -1.0, 1.0, 0.0)
"""What CH4 + 2 O2 => CO2 + 2 H2O makes of each."""

GAS = 8.31446261815324
"""R in J mol-1 K-1."""

MECHANISM = "gri30.yaml"
"""The file in Cantera's folder of data that has the species."""


@dataclass(frozen=True)
class Reaction:
    """What is the same in all rates q = A T^b exp(−E/(R T)) [CH4]^m [O2]^n.

    Attributes:
        exponent: b.
        fuel_order: m.
        oxygen_order: n.
    """

    exponent: float = 0.0
    fuel_order: float = 1.0
    oxygen_order: float = 0.5


@dataclass(frozen=True)
class Coefficients:
    """What the equations hold of each species.

    Attributes:
        weights: W in kg mol-1, (5,).
        middles: where the two ranges of NASA-7 meet, K, (5,).
        low: c_p/R as polynomials in T with a_5, the constant of h/R, behind them, (5, 6).
        high: likewise, above the middle.
        viscosity: of √μ/T^(1/4) in ln T, (5, 5).
        conductivity: of λ/√T in ln T, (5, 5).
        diffusion: of p D_kj/T^(3/2) in ln T, (5, 5, 5).
    """

    weights: Array
    middles: Array
    low: Array
    high: Array
    viscosity: Array
    conductivity: Array
    diffusion: Array

    def enthalpy(self, temperature: float, fractions: Array) -> float:
        """h of a mixture, J kg-1."""
        a = np.where((temperature < self.middles)[:, None], self.low, self.high)
        powers = temperature ** np.arange(1.0, 6) / np.arange(1.0, 6)
        return float((a[:, :5] @ powers + a[:, 5]) @ (fractions / self.weights)) * GAS

    def heat_capacity(self, temperature: float, fractions: Array) -> float:
        """c_p of a mixture, J kg-1 K-1."""
        a = np.where((temperature < self.middles)[:, None], self.low, self.high)
        return float((a[:, :5] @ temperature ** np.arange(5.0)) @ (fractions / self.weights)) * GAS

    def products(self, fractions: Array, used: float) -> Array:
        """Mass fractions after a number of moles of fuel per kg was used."""
        return np.asarray(fractions + used * np.array(STEP) * self.weights)


@lru_cache(maxsize=1)
def coefficients() -> Coefficients:
    """Those of Cantera.

    Raises:
        MissingDependency: Cantera is not installed.
    """
    gas, numbers = solution(), range(len(SPECIES))
    thermo = np.array([species.thermo.coeffs for species in gas.species()])
    return Coefficients(
        weights=1e-3 * np.asarray(gas.molecular_weights),
        middles=thermo[:, 0],
        low=thermo[:, 8:14],
        high=thermo[:, 1:7],
        viscosity=np.array([gas.get_viscosity_polynomial(k) for k in numbers]),
        conductivity=np.array([gas.get_thermal_conductivity_polynomial(k) for k in numbers]),
        diffusion=np.array(
            [[gas.get_binary_diff_coeffs_polynomial(k, j) for j in numbers] for k in numbers]
        ),
    )


def solution(factor: float = 0.0, energy: float = 0.0, reaction: Reaction | None = None) -> Any:
    """Cantera's solution of the five species and their one reaction.

    Args:
        factor: A, for concentrations in mol m-3 and rates in mol m-3 s-1.
        energy: E in J mol-1.
        reaction: exponent and orders.

    Raises:
        MissingDependency: Cantera is not installed.
    """
    cantera = extras.load("cantera", "flames of several species need")
    known = {species.name: species for species in cantera.Species.list_from_file(MECHANISM)}
    law = reaction or Reaction()
    per_kmol = factor * 1e3 ** (law.fuel_order + law.oxygen_order - 1)
    rate = cantera.ArrheniusRate(per_kmol, law.exponent, 1e3 * energy)
    step = cantera.Reaction(equation="CH4 + 2 O2 => CO2 + 2 H2O", rate=rate)
    step.orders = {"CH4": law.fuel_order, "O2": law.oxygen_order}
    return cantera.Solution(
        thermo="ideal-gas",
        kinetics="gas",
        transport_model="mixture-averaged",
        species=[known[name] for name in SPECIES],
        reactions=[step],
    )


def mixed(weights: Array, oxidizer: Array, phi: float) -> tuple[Array, Array]:
    """Mass fractions of a mixture of methane with an oxidizer, and their derivative by φ, (5,).

    φ = 1 has two molecules of O2 for each of CH4.

    Args:
        weights: W of each species, (5,).
        oxidizer: its mole fractions, (5,).
        phi: the equivalence ratio.
    """
    fuel = np.zeros(len(SPECIES))
    fuel[SPECIES.index("CH4")] = 0.5 * oxidizer[SPECIES.index("O2")]
    masses, change = (oxidizer + phi * fuel) * weights, fuel * weights
    total = masses.sum()
    return masses / total, (change - masses * change.sum() / total) / total
