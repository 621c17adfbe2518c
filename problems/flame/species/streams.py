"""Where a network of a counterflow begins: a thin flame in streams without viscosity.

M V′ + ρ V² = K and M′ = −2 ρ V hold in three layers of even density, which fill the domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from pdeinv.typing import Array

from .gas import GAS, Reaction
from .guess import Thin
from .parameters import Parameters, Setting
from .profiles import LOGITS, Odds, layered, logits
from .start import Domain

__all__ = ["Counterflow"]

BETWEEN = 2.0
"""How much larger or smaller than that of the guess Λ may be."""
NEAR = 3.0
"""How far around the flame of a counterflow terms are as large as in it, by its thickness."""
MIXING = 0.25
"""The same of the layer in which streams mix, by the fall of M there."""
STRICT = 0.5
"""The same of what the reaction conserves."""


@dataclass(frozen=True)
class Layers:
    """Two streams and hot gas between them, without viscosity: M V′ + ρ V² = K, M′ = −2 ρ V.

    Where the density is even, M is a square function of x with M′² − 2 M M″ = 4 ρ K. Streams that
    enter with V = 0 have V = K x / M(0).

    Attributes:
        curvature: K = −Λ, Pa m-2.
        flame: where the reactants burn, m.
        hot: how thick the hot layer is, m.
        spread: V at the flame, s-1.
    """

    curvature: float
    flame: float
    hot: float
    spread: float

    @classmethod
    def of(cls, thin: Thin, density: float, at: Parameters, length: float) -> Layers:
        """Those that fill a domain.

        Args:
            thin: the flame.
            density: of the other stream, kg m-3.
            at: parameters.
            length: of the domain, m.
        """
        flux = min(thin.flux, 0.9 * at.mass_flux)

        def filled(logarithm: float) -> tuple[float, Layers]:
            k = float(np.exp(logarithm))
            flame = float(np.sqrt((at.mass_flux - flux) * at.mass_flux / (thin.density * k)))
            spread = k * flame / at.mass_flux
            slope = 2 * thin.burnt_density * spread
            root = np.sqrt(4 * thin.burnt_density * k)
            hot = 2 * flux / (slope + float(root))
            other = at.opposed_mass_flux / float(np.sqrt(density * k))
            return flame + hot + other - length, cls(k, flame, hot, spread)

        found = brentq(lambda y: filled(y)[0], -20.0, 40.0)
        return filled(float(found))[1]


@dataclass(frozen=True)
class Counterflow:
    """The flame of one variable in the flow of such layers, which mix behind it.

    Attributes:
        thin: that flame.
        layers: the flow.
        setting: configuration, gas and streams.
        at: parameters.
        length: of the domain, m.
        density: of the other stream, kg m-3.
    """

    thin: Thin
    layers: Layers
    setting: Setting
    at: Parameters
    length: float
    density: float
    outputs: ClassVar[tuple[str, ...]] = ("T", *LOGITS, "V", "M")

    @classmethod
    def of(
        cls, setting: Setting, reaction: Reaction, domain: Domain, at: Parameters
    ) -> Counterflow:
        """That of parameters."""
        thin = Thin.of(setting, reaction, at)
        amount = float((setting.opposed / setting.gas.weights).sum())
        density = at.pressure / (GAS * at.opposed_temperature * amount)
        layers = Layers.of(thin, density, at, domain.length)
        return cls(thin, layers, setting, at, domain.length, density)

    @property
    def centre(self) -> float:
        """The middle of the hot layer."""
        return self.layers.flame + 0.5 * self.layers.hot

    @property
    def width(self) -> float:
        """Of that layer."""
        return self.layers.hot

    @property
    def _stagnant(self) -> float:
        return self.layers.flame + self.layers.hot

    @property
    def _mixed(self) -> float:
        """Thickness of the layer in which burnt gas and the other stream mix, m."""
        return float(np.sqrt(2 * self.thin.width * self.thin.flux / self._slope))

    @property
    def _slope(self) -> float:
        """−M′ there, kg m-3 s-1."""
        densities = self.thin.burnt_density * self.density
        return float(2 * np.sqrt(self.layers.curvature) * densities**0.25)

    @property
    def eigenvalue(self) -> tuple[float, float, float]:
        """Λ, Pa m-2."""
        k = self.layers.curvature
        return -k, -BETWEEN * k, -k / BETWEEN

    def sizes(self, x: Array) -> Array:
        """Of what is carried through the flame and the layer behind it, of Λ, of the fall of M.

        Then those of what the reaction conserves.
        """
        thin, slope = self.thin, self._slope
        fall = (self.at.mass_flux + self.at.opposed_mass_flux) / self.length
        near = np.cosh(np.clip((x - self.layers.flame) / (NEAR * thin.width), -50, 50)) ** -2
        per_flux = thin.carried / thin.flux
        found = per_flux * (near * thin.flux / (2 * thin.width) + (1 - near) * MIXING * slope)
        still = STRICT * slope * np.array([per_flux[0], *[thin.moles] * 3])
        rest = np.broadcast_to([self.layers.curvature, fall, *still], (len(x), 6))
        return np.concatenate([found, rest], axis=1)

    def __call__(self, x: Any) -> tuple[Any, Any]:
        """The profiles, and functions that are zero at both ends."""
        import torch

        thin, layers, at = self.thin, self.layers, self.at
        done = torch.sigmoid(Odds(thin)(x - layers.flame))
        other = torch.sigmoid(2 * (x - self._stagnant) / self._mixed)

        def blended(cold: Any, hot: Any, opposed: Any) -> Any:
            return (1 - other) * (cold + (hot - cold) * done) + other * opposed

        y = blended(
            *(x.new_tensor(part) for part in (thin.fresh, thin.burnt, self.setting.opposed))
        )
        temperature = blended(thin.cold, thin.hot, at.opposed_temperature)
        spread, flux = (blended(*three) for three in self._flow(x))
        ends = torch.tanh(x / thin.width) * torch.tanh((self.length - x) / thin.width)
        wide = (4 * x * (self.length - x)) / self.length**2
        total, most = at.mass_flux + at.opposed_mass_flux, layers.spread
        factors = [(thin.hot - thin.cold) * ends, *[ends] * len(LOGITS), most * wide, total * wide]
        return torch.cat([temperature, logits(y), spread, flux], dim=1), torch.cat(factors, dim=1)

    def _flow(self, x: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
        """V and M of the reactants, of the hot layer and of the other stream."""
        layers, at, k = self.layers, self.at, self.layers.curvature
        behind, ahead = x - layers.flame, self.length - x
        flux = min(self.thin.flux, 0.9 * at.mass_flux)
        density = self.thin.burnt_density
        slope = -2 * density * layers.spread
        bend = (slope**2 - 4 * density * k) / (4 * flux)
        spreads = (
            k * x / at.mass_flux,
            -(slope + 2 * bend * behind) / (2 * density),
            k * ahead / at.opposed_mass_flux,
        )
        fluxes = (
            at.mass_flux - self.thin.density * k / at.mass_flux * x**2,
            flux + slope * behind + bend * behind**2,
            self.density * k / at.opposed_mass_flux * ahead**2 - at.opposed_mass_flux,
        )
        return spreads, fluxes

    def spread(self, unit: Array) -> Array:
        """Most of them within the flame and where the streams mix."""
        return layered(
            unit,
            self.length,
            [(0.45, self.layers.flame, 2 * self.thin.width), (0.3, self._stagnant, self._mixed)],
        )
