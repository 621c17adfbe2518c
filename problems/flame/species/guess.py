"""The flame that a network starts from: one variable, as if heat and all species diffused alike.

With fractions on the straight way from reactants to burnt gas, the flux of heat p = λ T′ obeys

    p dp/dT = M c_p p − λ Q(T),    p = 0 at both ends,

where Q is the heat that is released; the mass flux M is the one for which both ends are met
(Williams 1985, §5.3). It is integrated from the burnt side, on which p leaves zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from pdeinv.typing import Array

from .gas import SPECIES, Reaction
from .parameters import Parameters, Setting
from .physics import SCALED, Local

__all__ = ["Thin"]

STEPS = 4000
"""Of temperature, between reactants and burnt gas."""
HALVINGS = 40
"""Of the interval of mass fluxes."""
FUEL = SPECIES.index("CH4")
SHOWN = 0.002
"""Part of the rise, from either end, beyond which the profile goes on exponentially."""


@dataclass(frozen=True)
class Thin:
    """A flame of one variable.

    Attributes:
        cold: temperature of the reactants, K.
        hot: of burnt gas.
        fresh: mass fractions of the reactants, (5,).
        burnt: of burnt gas.
        flux: mass flux, kg m-2 s-1.
        width: thickness λ/(M c_p) of the preheated zone, m.
        density: of the reactants, kg m-3.
        burnt_density: of burnt gas.
        capacity: the mean c_p, J kg-1 K-1.
        moles: of fuel that a mass of reactants burns, mol kg-1.
        places: x from where half of the rise is reached, m.
        part: ln(θ/(1 − θ)) there, of the part θ of the rise.
    """

    cold: float
    hot: float
    fresh: Array
    burnt: Array
    flux: float
    width: float
    density: float
    burnt_density: float
    capacity: float
    moles: float
    places: Array
    part: Array

    @property
    def carried(self) -> Array:
        """Heat and species that are carried through it, W m-2 and kg m-2 s-1."""
        change = np.abs(self.burnt - self.fresh)[:-1]
        return np.asarray(self.flux * np.append(self.capacity * (self.hot - self.cold), change))

    @classmethod
    def of(cls, setting: Setting, reaction: Reaction, at: Parameters) -> Thin:
        """That of parameters."""
        (hot, burnt), (fresh, _) = setting.burnt(at), setting.inlet(at)
        cold, part = at.inlet_temperature, np.linspace(0.0, 1.0, STEPS + 1)[:, None]
        gas = _gas(
            setting, reaction, at, (cold + (hot - cold) * part, fresh + (burnt - fresh) * part)
        )
        released = -sum(h * rate for h, rate in zip(gas.enthalpies, gas.rates, strict=True))
        conductivity, capacity = gas.conductivity[:, 0], gas.heat_capacity[:, 0]
        curve = _Curve(hot - cold, conductivity * released[:, 0], capacity)
        flux = curve.mass_flux()
        places, inside = _places(part[:, 0], curve.heat_flux(flux), conductivity * (hot - cold))
        middle = float(capacity.mean())
        return cls(
            cold, hot, fresh, burnt, flux,
            width=float(conductivity.mean()) / (flux * middle),
            density=float(gas.density[0, 0]),
            burnt_density=float(gas.density[-1, 0]),
            capacity=middle,
            moles=float((fresh - burnt)[FUEL] / setting.gas.weights[FUEL]),
            places=places,
            part=np.log(inside / (1 - inside)),
        )  # fmt: skip


@dataclass(frozen=True)
class _Curve:
    """The heat flux over temperature.

    Attributes:
        rise: K.
        source: λ Q at even temperatures, coldest first.
        capacity: c_p there.
    """

    rise: float
    source: Array
    capacity: Array

    def heat_flux(self, flux: float) -> Array:
        """p at those temperatures, zero at the last; zero from where it falls to zero."""
        step, p = self.rise / STEPS, np.zeros(STEPS + 1)
        mean = 0.5 * (self.source[1:] + self.source[:-1])
        for k in range(STEPS - 1, -1, -1):
            carried = step * flux * self.capacity[k]
            inside = carried**2 + p[k + 1] ** 2 + 2 * step * mean[k]
            p[k] = np.sqrt(inside) - carried
        return p

    def mass_flux(self) -> float:
        """The largest M for which p stays positive on the way to the reactants."""
        bound = float(np.sqrt(2 * self.source.sum() * self.rise / STEPS))
        low, high = 0.0, bound / (float(self.capacity.min()) * self.rise) * 3
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            # heat that is released at low temperatures keeps p above zero by a little
            if self.heat_flux(middle)[STEPS // 200] > self._preheated(middle):
                low = middle
            else:
                high = middle
        return low

    def _preheated(self, flux: float) -> float:
        """p of the preheated zone at one part in 200 of the rise."""
        some = slice(0, STEPS // 200 + 1)
        return float(flux * self.capacity[some].mean() * self.rise / 200)


def _places(part: Array, p: Array, factor: Array) -> tuple[Array, Array]:
    """x = ∫ λ dT/p and θ, with x = 0 at θ = 1/2, away from both ends."""
    inside = (part > SHOWN) & (part < 1 - SHOWN)
    some, slowness = part[inside], (factor / p.clip(min=1e-300))[inside]
    steps = 0.5 * (slowness[1:] + slowness[:-1]) * np.diff(some)
    x = np.concatenate([[0.0], np.cumsum(steps)])
    return x - np.interp(0.5, some, x), some


def _gas(setting: Setting, reaction: Reaction, at: Parameters, state: tuple[Array, Array]) -> Local:
    functions = SimpleNamespace(
        ln=np.log, exp=np.exp, sqrt=np.sqrt, max_value=np.maximum, min_value=np.minimum
    )
    columns = [state[1][:, k : k + 1] for k in range(len(SPECIES))]
    none = [0.0 * c for c in columns]
    numbers: dict[str, Any] = {name: getattr(at, name, 0.0) for name in SCALED}
    return Local(setting.gas, reaction, state[0], columns, none, numbers, functions)
