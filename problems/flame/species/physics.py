"""Properties of the gas and its fluxes at one point, as expressions of UFL or arrays of any kind.

NASA-7 thermodynamics; viscosity by Wilke (1950); conductivity by Mathur et al. (1967); diffusion
into the mixture along gradients of mole fractions with a correction that makes the fluxes sum to
zero (Coffee and Heimerl 1981), as Cantera has them by default (``flux_gradient_basis = "molar"``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, Protocol

from pdeinv.typing import Array

from .gas import GAS, STEP, Coefficients, Reaction

__all__ = ["SCALED", "Functions", "Local"]

FEW = 1e-10
"""The least mole fraction that diffusion into the mixture is computed with."""
BLEND = 50.0
"""Half of the width, K, over which one range of NASA-7 goes over into the other: they do not meet
exactly, and data should have slopes by parameters that move a flame across the points of a rule."""
TRACE = 1e-5
"""Concentrations, mol m-3, below which powers less than one become linear: √c has no slope at 0.

Burning gas has about one."""

SCALED = ("eigenvalue", "pre_exponential", "activation_energy", "conductivity_scale",
          "viscosity_scale", "diffusivity_scale", "pressure")  # fmt: skip
"""The numbers p that the equations hold, in the order of columns of their derivatives."""


class Functions(Protocol):
    """What the formulas need beside sums, products and powers; ``ufl`` has it."""

    def ln(self, x: Any, /) -> Any:
        """The natural logarithm."""

    def exp(self, x: Any, /) -> Any:
        """e^x."""

    def sqrt(self, x: Any, /) -> Any:
        """√x."""

    def max_value(self, x: Any, y: Any, /) -> Any:
        """The larger one."""

    def min_value(self, x: Any, y: Any, /) -> Any:
        """The smaller one."""


@dataclass(frozen=True)
class Local:
    """The gas at a point, or at many where its fields are arrays.

    Attributes:
        of: numbers of the species.
        reaction: the rate.
        temperature: T, K.
        fractions: mass fractions, all five.
        slopes: their derivatives by x.
        numbers: p by name.
        functions: of what the fields are made of.
    """

    of: Coefficients
    reaction: Reaction
    temperature: Any
    fractions: Sequence[Any]
    slopes: Sequence[Any]
    numbers: Mapping[str, Any]
    functions: Functions

    @cached_property
    def weight(self) -> Any:
        """W of the mixture."""
        return 1 / _sum(y / w for y, w in zip(self.fractions, self._weights, strict=True))

    @property
    def _weights(self) -> list[float]:
        return [float(w) for w in self.of.weights]

    @cached_property
    def moles(self) -> list[Any]:
        """Mole fractions X_k = Y_k W/W_k."""
        return [y * self.weight / w for y, w in zip(self.fractions, self._weights, strict=True)]

    @cached_property
    def density(self) -> Any:
        """ρ = p W/(R T)."""
        return self.numbers["pressure"] * self.weight / (GAS * self.temperature)

    @cached_property
    def _logarithm(self) -> Any:
        return self.functions.ln(self.temperature)

    @cached_property
    def _root(self) -> Any:
        return self.functions.sqrt(self.temperature)

    @cached_property
    def heat_capacities(self) -> list[Any]:
        """c_p of each species, J kg-1 K-1."""
        return self._in_ranges([1.0] * 5 + [0.0])

    @cached_property
    def enthalpies(self) -> list[Any]:
        """h of each species, J kg-1."""
        factors = [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
        return [
            integral + constant
            for integral, constant in zip(
                (self.temperature * c for c in self._in_ranges([*factors, 0.0])),
                self._in_ranges([0.0] * 5 + [1.0]),
                strict=True,
            )
        ]

    def _in_ranges(self, factors: Sequence[float]) -> list[Any]:
        """Σ f_i a_i T^i + f_5 a_5 of each species, times R/W."""
        f = self.functions

        def polynomial(a: Array) -> Any:
            return _horner(a[:5] * factors[:5], self.temperature) + float(a[5] * factors[5])

        found = []
        for middle, low, high, w in zip(
            self.of.middles, self.of.low, self.of.high, self._weights, strict=True
        ):
            t = (self.temperature - float(middle)) / BLEND
            s = f.min_value(f.max_value(0.5 + 0.5 * t, 0.0), 1.0)
            upper = s * s * (3 - 2 * s)
            below, above = polynomial(low), polynomial(high)
            found.append((below + upper * (above - below)) * (GAS / w))
        return found

    @cached_property
    def heat_capacity(self) -> Any:
        """c_p of the mixture, J kg-1 K-1."""
        return _sum(y * c for y, c in zip(self.fractions, self.heat_capacities, strict=True))

    @cached_property
    def conductivity(self) -> Any:
        """λ, W m-1 K-1: half of the mean and of the harmonic mean, by mole fractions."""
        own = [self._root * _horner(c, self._logarithm) for c in self.of.conductivity]
        pairs = list(zip(self.moles, own, strict=True))
        mean, inverse = _sum(x * v for x, v in pairs), _sum(x / v for x, v in pairs)
        return self.numbers["conductivity_scale"] * 0.5 * (mean + 1 / inverse)

    @cached_property
    def viscosity(self) -> Any:
        """μ, Pa s."""
        w = self._weights
        own = [self._root * _horner(c, self._logarithm) ** 2 for c in self.of.viscosity]

        def share(k: int, j: int) -> Any:
            ratio = self.functions.sqrt(own[k] / own[j]) * (w[j] / w[k]) ** 0.25
            return (1 + ratio) ** 2 / (8 * (1 + w[k] / w[j])) ** 0.5

        numbers = range(len(own))
        return self.numbers["viscosity_scale"] * _sum(
            self.moles[k] * own[k] / _sum(self.moles[j] * share(k, j) for j in numbers)
            for k in numbers
        )

    @cached_property
    def fluxes(self) -> list[Any]:
        """j_k = −ρ (W_k/W) D_km X_k′ − Y_k Σ j, kg m-2 s-1."""
        total = _sum(y / w for y, w in zip(self.slopes, self._weights, strict=True))
        free = []
        for k, w in enumerate(self._weights):
            slope = (self.slopes[k] - self.fractions[k] * self.weight * total) * self.weight / w
            free.append(-self.density * (w / self.weight) * self._into_mixture(k) * slope)
        excess = _sum(free)
        return [j - y * excess for j, y in zip(free, self.fractions, strict=True)]

    def _into_mixture(self, k: int) -> Any:
        """D_km = Σ_(j≠k) X_j W_j / (W Σ_(j≠k) X_j/D_kj), m2 s-1."""
        others = [j for j in range(len(self._weights)) if j != k]
        moles = {j: self.functions.max_value(self.moles[j], FEW) for j in others}
        resistance = _sum(
            moles[j] / _horner(self.of.diffusion[min(j, k), max(j, k)], self._logarithm)
            for j in others
        )
        top = self.temperature * self._root * _sum(moles[j] * self._weights[j] for j in others)
        scale = self.numbers["diffusivity_scale"]
        return scale * top / (self.numbers["pressure"] * self.weight * resistance)

    @cached_property
    def rates(self) -> list[Any]:
        """Of production of each species, W_k ω_k, kg m-3 s-1."""
        return [s * w * self.progress for s, w in zip(STEP, self._weights, strict=True)]

    @cached_property
    def progress(self) -> Any:
        """q, mol m-3 s-1."""
        r = self.reaction
        oxygen, fuel = (self.density * self.fractions[k] / self._weights[k] for k in (0, 2))
        rate = self.numbers["pre_exponential"] * self.functions.exp(
            -self.numbers["activation_energy"] / (GAS * self.temperature)
        )
        if r.exponent:
            rate = rate * self.temperature**r.exponent
        return rate * self._power(fuel, r.fuel_order) * self._power(oxygen, r.oxygen_order)

    def _power(self, concentration: Any, order: float) -> Any:
        """c^order: linear close to zero where the order is less than one, and zero below zero.

        Of order one it is c itself, which has no kink and brings small negative values back as
        well.
        """
        if order == 1.0:
            return concentration
        some = self.functions.max_value(concentration, 0.0)
        return some * (some + TRACE) ** (order - 1)


def _horner(coefficients: Array, x: Any) -> Any:
    """Σ c_i x^i."""
    found: Any = float(coefficients[-1])
    for c in coefficients[-2::-1]:
        found = found * x + float(c)
    return found


def _sum(terms: Any) -> Any:
    return reduce(add, terms)
