"""What a flame of five species depends on, and what follows of it for the gas that flows in."""

from __future__ import annotations

from dataclasses import dataclass

from pdeinv.typing import Array

from .gas import GAS, SPECIES, Coefficients, mixed

__all__ = ["COUNTERFLOW", "FLAMMABLE", "FREE", "NAMES", "Parameters", "Setting", "inlet_density"]


@dataclass(frozen=True)
class Parameters:
    """What may be sought of one flame, in SI units with mol.

    Attributes:
        pre_exponential: A, for concentrations in mol m-3 and rates in mol m-3 s-1.
        activation_energy: E, J mol-1.
        conductivity_scale: what multiplies λ.
        viscosity_scale: what multiplies μ.
        diffusivity_scale: what multiplies all D_km.
        equivalence_ratio: φ of the reactants.
        pressure: p, Pa.
        inlet_temperature: of the reactants, K.
        fixed_temperature: that of the place which a free flame is held at, K.
        mass_flux: of the reactants of a counterflow, kg m-2 s-1.
        opposed_mass_flux: of the other stream.
        opposed_temperature: of the other stream, K.
    """

    pre_exponential: float = 1.1e7
    activation_energy: float = 83680.0
    conductivity_scale: float = 1.0
    viscosity_scale: float = 1.0
    diffusivity_scale: float = 1.0
    equivalence_ratio: float = 0.8
    pressure: float = 101325.0
    inlet_temperature: float = 300.0
    fixed_temperature: float = 1000.0
    mass_flux: float = 1.0
    opposed_mass_flux: float = 1.0
    opposed_temperature: float = 300.0


NAMES: tuple[str, ...] = tuple(Parameters.__dataclass_fields__)
"""The parameters in the order of columns of derivatives."""

FLAMMABLE = (0.4, 1.8)
"""Equivalence ratios that this chemistry is meant for."""

COUNTERFLOW = ("viscosity_scale", "mass_flux", "opposed_mass_flux", "opposed_temperature")
"""Those that only a counterflow depends on."""
FREE = ("fixed_temperature",)
"""Those that only a free flame depends on."""


@dataclass(frozen=True)
class Setting:
    """What is the same in all flames of a configuration.

    Attributes:
        counterflow: whether two streams meet; else a flame propagates freely.
        gas: numbers of the species.
        oxidizer: its mole fractions, (5,).
        opposed: mass fractions of the other stream, (5,).
    """

    counterflow: bool
    gas: Coefficients
    oxidizer: Array
    opposed: Array

    def inlet(self, at: Parameters) -> tuple[Array, Array]:
        """Mass fractions of the reactants, and their derivatives by φ, (5,)."""
        return mixed(self.gas.weights, self.oxidizer, at.equivalence_ratio)

    def burnt(self, at: Parameters) -> tuple[float, Array]:
        """Temperature and mass fractions of what burns until fuel or oxygen are used up.

        Enthalpy is conserved; the temperature is found by Newton's method.
        """
        start, _ = self.inlet(at)
        moles = start / self.gas.weights
        used = min(moles[SPECIES.index("CH4")], moles[SPECIES.index("O2")] / 2)
        end = self.gas.products(start, used)
        enthalpy, temperature = self.gas.enthalpy(at.inlet_temperature, start), 1800.0
        for _ in range(50):
            rest = self.gas.enthalpy(temperature, end) - enthalpy
            change = rest / self.gas.heat_capacity(temperature, end)
            temperature -= change
            if abs(change) < 1e-8 * temperature:
                break
        return temperature, end


def inlet_density(setting: Setting, at: Parameters) -> tuple[float, dict[str, float]]:
    """ρ of the reactants in kg m-3, and its derivatives by name of a parameter."""
    fractions, change = setting.inlet(at)
    inverse = float((fractions / setting.gas.weights).sum())
    density = at.pressure / (GAS * at.inlet_temperature * inverse)
    by_phi = -density * float((change / setting.gas.weights).sum()) / inverse
    return density, {
        "pressure": density / at.pressure,
        "inlet_temperature": -density / at.inlet_temperature,
        "equivalence_ratio": by_phi,
    }
