"""What a network of a flame corrects: profiles that have the right values at the ends.

Each is G, with a factor D that is zero where G is held: the network's fields are G + D N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from pdeinv.typing import Array

from .gas import GAS, SPECIES, Reaction
from .guess import Thin
from .parameters import Parameters, Setting
from .start import Domain

__all__ = ["Counterflow", "Free", "Guess"]

THICK = 4.0
"""How much thicker than its preheated zone a flame is."""
RANGE = (0.5, 2.0)
"""Flame speeds that are searched, by that of the guess."""
TRACE = 1e-7
"""Mass fractions that logits begin with where a species is missing."""
SHARE = 0.8
"""Of the points at which the equations are asked for, those near the flame."""
LOGITS = tuple(f"z_{name}" for name in SPECIES[:-1])
BETWEEN = 2.0
"""How much larger or smaller than that of the guess Λ may be."""
NEAR = 3.0
"""How far around the flame of a counterflow terms are as large as in it, by its thickness."""
MIXING = 0.25
"""The same of the layer in which streams mix, by the fall of M there."""
STRICT = 0.5
"""The same of what the reaction conserves."""
LARGE = 40.0
"""Of odds of burnt gas, as logarithms."""


class Guess(Protocol):
    """Profiles to start from.

    Attributes:
        outputs: names of what they are of.
        thin: the flame of one variable.
        eigenvalue: where a search begins, the least and the largest.
        width: over which fields change, m.
        centre: where, m.
    """

    outputs: tuple[str, ...]
    thin: Thin
    eigenvalue: tuple[float, float, float]
    width: float
    centre: float

    def __call__(self, x: Any, /) -> tuple[Any, Any]:
        """G and D at tensors of places (n, 1), each (n, outputs)."""

    def spread(self, unit: Array, /) -> Array:
        """Even points in [0, 1] to places, (n, 1)."""

    def sizes(self, x: Array, /) -> Array:
        """Of the terms of each equation at places (n, 1), (n, equations)."""


def logits(fractions: Any) -> Any:
    """ln(Y_k/Y_N2) of fractions (n, 5), (n, 4)."""
    logarithms = (fractions.clamp(min=0.0) + TRACE).log()
    return logarithms[:, :-1] - logarithms[:, -1:]


def layered(unit: Array, length: float, layers: Sequence[tuple[float, float, float]]) -> Array:
    """Places in [0, length], of which parts are distributed around centres (logistic law).

    Args:
        unit: even points in [0, 1].
        length: m.
        layers: part, centre and width of each; the rest is even.
    """
    x = np.linspace(0.0, length, 20001)
    found = (1 - sum(part for part, _, _ in layers)) * x / length
    for part, centre, width in layers:
        near = np.tanh((x - centre) / width)
        found = found + part * (near - near[0]) / (near[-1] - near[0])
    return np.asarray(np.interp(unit, found, x))


@dataclass(frozen=True)
class Odds:
    """ln(θ/(1 − θ)) of the part θ of the rise, as a smooth function of x, straight beyond its ends.

    Attributes:
        thin: the flame.
    """

    thin: Thin

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Ends of pieces, and coefficients of cubic ones, lowest first, straight ones outside."""
        x, y = self.thin.places, self.thin.part
        some = np.unique(np.searchsorted(y, np.linspace(y[0], y[-1], 80)).clip(max=len(y) - 1))
        spline = CubicSpline(x[some], y[some], bc_type="natural")
        ends, inner = spline.x, spline.c[::-1]
        outer = [[spline(e), spline(e, 1), 0.0, 0.0] for e in (ends[0], ends[-1])]
        return ends, np.column_stack([outer[0], inner, outer[1]])

    def __call__(self, x: Any) -> Any:
        """At tensors of places, from where half of the rise is reached."""
        import torch

        ends, table = self._table
        piece = torch.bucketize(x.detach(), x.new_tensor(ends))
        begin = x.new_tensor(np.append(ends[0], ends))[piece]
        a, b, c, d = x.new_tensor(table)[:, piece]
        t = x - begin
        return (a + t * (b + t * (c + t * d))).clamp(-LARGE, LARGE)

    def place(self, part: float) -> float:
        """x of a part of the rise."""
        return float(np.interp(np.log(part / (1 - part)), self.thin.part, self.thin.places))


@dataclass(frozen=True)
class Free:
    """The flame of one variable, at its place.

    Attributes:
        thin: that flame.
        domain: length and place.
        fixed: temperature at that place, K.
    """

    thin: Thin
    domain: Domain
    fixed: float
    outputs = ("T", *LOGITS)

    @classmethod
    def of(cls, setting: Setting, reaction: Reaction, domain: Domain, at: Parameters) -> Free:
        """That of parameters."""
        return cls(Thin.of(setting, reaction, at), domain, at.fixed_temperature)

    @property
    def centre(self) -> float:
        """Half a width behind the place, towards the reaction."""
        return self.domain.held

    @property
    def width(self) -> float:
        """Of the whole flame."""
        return THICK * self.thin.width

    @property
    def eigenvalue(self) -> tuple[float, float, float]:
        """Flame speeds, m s-1."""
        speed = self.thin.flux / self.thin.density
        return speed, RANGE[0] * speed, RANGE[1] * speed

    def sizes(self, x: Array) -> Array:
        """Of what is carried through the flame over its width, then in all."""
        thin = self.thin
        moles = thin.flux * thin.moles
        terms = [*thin.carried / (2 * thin.width), thin.carried[0], *[moles] * 3]
        return np.tile(np.array(terms), (len(x), 1))

    def __call__(self, x: Any) -> tuple[Any, Any]:
        """The profiles, and tanh functions that are zero at both ends and, of T, at the place."""
        import torch

        thin, width, (length, held) = self.thin, self.thin.width, self._domain
        rise, odds = thin.hot - thin.cold, Odds(thin)
        shift = odds.place((self.fixed - thin.cold) / rise) - held
        done = torch.sigmoid(odds(x + shift))
        fresh, burnt = x.new_tensor(thin.fresh), x.new_tensor(thin.burnt)
        guess = torch.cat([thin.cold + rise * done, logits(fresh + (burnt - fresh) * done)], 1)
        ends = torch.tanh(x / width) * torch.tanh((length - x) / width)
        hot = rise * ends * torch.tanh((x - held) / width)
        return guess, torch.cat([hot, ends.expand(len(x), len(LOGITS))], dim=1)

    @property
    def _domain(self) -> tuple[float, float]:
        return self.domain.length, self.domain.held

    def spread(self, unit: Array) -> Array:
        """Most of them within the flame."""
        return layered(unit, self.domain.length, [(SHARE, self.centre, 1.5 * self.thin.width)])


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
    outputs = ("T", *LOGITS, "V", "M")

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
