"""One-step chemistry and the algebraic closures of a flame, with their derivatives.

Mass fraction of fuel, density and velocity follow from the temperature alone where the Lewis number
is one: Y = Y_in + c_p (T_in − T)/q, ρ u = ρ_in s_L, and momentum with the ideal gas law gives
u² − (s_L + R_g T_in/s_L) u + R_g T = 0. The rate is ω = A exp(−E_a/(R T)) (ρ Y)^n.

Source: the simplified flame of Wu et al., FlamePINN-1D (2025), case 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.typing import Array

__all__ = [
    "FLAMMABLE",
    "GAS",
    "NAMES",
    "Gas",
    "Mixture",
    "Parameters",
    "burnt_temperature",
    "gas",
    "inlet_fraction",
]

GAS = 8.3145
"""R in J mol-1 K-1, as the source has it."""


FLAMMABLE = (0.3, 1.0)
"""Equivalence ratios of lean mixtures that burn: Y = φ/(φ + 4) counts the fuel of lean ones."""


@dataclass(frozen=True)
class Mixture:
    """What is the same in every flame.

    Attributes:
        molar_mass: kg mol-1.
        heat_capacity: c_p, J kg-1 K-1.
        heat_release: q per mass of fuel, J kg-1.
        order: n of the reaction.
    """

    molar_mass: float = 0.02897
    heat_capacity: float = 1000.0
    heat_release: float = 5e7
    order: float = 1.6

    @property
    def specific_gas(self) -> float:
        """R_g = R/W in J kg-1 K-1."""
        return GAS / self.molar_mass


@dataclass(frozen=True)
class Parameters:
    """What may be sought of one flame, in SI units.

    Attributes:
        conductivity: λ, W m-1 K-1.
        activation_energy: E_a, J mol-1.
        pre_exponential: A, for densities in kg m-3.
        inlet_gradient: dT/dx at the inlet, K m-1.
        equivalence_ratio: φ of a lean mixture.
        pressure: p at the inlet, Pa.
        inlet_temperature: T_in, K.
    """

    conductivity: float = 0.026
    activation_energy: float = 121417.2
    pre_exponential: float = 1.4e8
    inlet_gradient: float = 1e5
    equivalence_ratio: float = 0.4
    pressure: float = 101325.0
    inlet_temperature: float = 298.0


NAMES: tuple[str, ...] = tuple(Parameters.__dataclass_fields__)
"""The parameters in the order of columns of derivatives."""


def inlet_fraction(phi: float) -> tuple[float, float]:
    """Y_in = φ/(φ + 4) and its derivative."""
    return phi / (phi + 4), 4 / (phi + 4) ** 2


def burnt_temperature(mixture: Mixture, at: Parameters) -> float:
    """T_max = T_in + q Y_in/c_p, where all fuel is used up, in K."""
    fraction, _ = inlet_fraction(at.equivalence_ratio)
    return at.inlet_temperature + mixture.heat_release * fraction / mixture.heat_capacity


@dataclass(frozen=True)
class Gas:
    """The gas at some temperatures, with derivatives of fields of shape (k,).

    Attributes:
        flux: ρ_in s_L, kg m-2 s-1.
        flux_by: its derivatives by s (the flame speed) and by parameter; those that are zero are
            left out here and below.
        fraction, fraction_by: Y of the fuel and its derivatives, by ``T`` as well.
        velocity, velocity_by: u in m s-1, likewise.
        rate, rate_by: ω in kg m-3 s-1, likewise.
    """

    flux: float
    flux_by: Mapping[str, float]
    fraction: Array
    fraction_by: Mapping[str, float]
    velocity: Array
    velocity_by: Mapping[str, Array]
    rate: Array
    rate_by: Mapping[str, Array]


def gas(
    mixture: Mixture, at: Parameters, temperature: Array, speed: float, by: Sequence[str] = ()
) -> Gas:
    """The closures at temperatures of any shape and a flame speed; NaN where there are none.

    Args:
        mixture: constants.
        at: parameters.
        temperature: K.
        speed: s_L, m s-1.
        by: what the rate is differentiated by: ``T``, ``s`` and names of parameters.
    """
    constant, inlet = mixture.specific_gas, at.inlet_temperature
    density = at.pressure / (constant * inlet)
    flux = density * speed
    flux_by = {"s": density, "pressure": flux / at.pressure, "inlet_temperature": -flux / inlet}
    velocity, velocity_by = _velocity(constant, inlet, temperature, speed)
    share = mixture.heat_capacity / mixture.heat_release
    start, slope = inlet_fraction(at.equivalence_ratio)
    fraction = start + share * (inlet - temperature)
    fraction_by = {"T": -share, "equivalence_ratio": slope, "inlet_temperature": share}
    found = Gas(
        flux, flux_by, fraction, fraction_by, velocity, velocity_by, np.zeros_like(velocity), {}
    )
    rate, rate_by = _rate(mixture, at, temperature, found, by)
    return replace(found, rate=rate, rate_by=rate_by)


def _velocity(
    constant: float, inlet: float, temperature: Array, speed: float
) -> tuple[Array, dict[str, Array]]:
    """The smaller, subsonic root u of u² − b u + R_g T = 0, without cancellation."""
    half = 0.5 * (speed + constant * inlet / speed)
    root = np.sqrt(half**2 - constant * temperature)
    velocity = constant * temperature / (half + root)
    by_b = -velocity / (2 * root)
    return velocity, {
        "T": constant / (2 * root),
        "s": by_b * (1 - constant * inlet / speed**2),
        "inlet_temperature": by_b * constant / speed,
    }


def _rate(
    mixture: Mixture, at: Parameters, temperature: Array, found: Gas, by: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """ω = k(T) z^n with z = ρ Y, zero where no fuel is left."""
    inverse = 1 / (GAS * temperature)
    k = at.pre_exponential * np.exp(-at.activation_energy * inverse)
    density = found.flux / found.velocity
    z = np.maximum(density * found.fraction, 0.0)
    by_z = k * z ** (mixture.order - 1)
    rate = by_z * z
    own = {
        "T": lambda: rate * at.activation_energy * inverse / temperature,
        "activation_energy": lambda: -rate * inverse,
        "pre_exponential": lambda: rate / at.pre_exponential,
    }
    return rate, {
        name: mixture.order * by_z * _z_by(found, density, name)
        + (own[name]() if name in own else 0.0)
        for name in by
    }


def _z_by(found: Gas, density: Array, name: str) -> Array | float:
    """The derivative of ρ Y = ρ_in s_L Y/u, without the bound at zero."""
    out: Array | float = 0.0
    if name in found.flux_by:
        out = out + found.flux_by[name] * found.fraction / found.velocity
    if name in found.fraction_by:
        out = out + density * found.fraction_by[name]
    if name in found.velocity_by:
        out = out - density * found.fraction * found.velocity_by[name] / found.velocity
    return out
