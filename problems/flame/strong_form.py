"""The energy equation of a flame at points: ρ_in s_L c_p T′ − λ T″ − q ω = 0, with s_L a number.

T(0) = T_in and T′(0) = G hold by construction, and lengths are in units of the thickness of the
flame, which the theory of Zeldovich and Frank-Kamenetskii estimates from the parameters alone
(Williams 1985, §5.3). A search begins at the preheated zone of that theory, which bends into burnt
gas: from elsewhere it may end in the flame that is extinguished, a solution as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.model.observed import Sensors
from pdeinv.model.strong_form import (
    Coefficients,
    Derivatives,
    Equation,
    Number,
    Side,
    StrongForm,
)
from pdeinv.typing import Array

from .chemistry import GAS, Parameters, burnt_temperature, gas, inlet_fraction
from .continuation import BURNT
from .equations import Flame as Solution
from .fields import to_dataset
from .model import Solved
from .one_flame import parameter_at, sensing
from .sensors import INLET, KINDS
from .unknown import parameters

if TYPE_CHECKING:
    from .problem import Flame

__all__ = ["strong_form"]

INLET_SIDE, OUTLET_SIDE = Side(0, 0), Side(0, 1)
SPEED = "s_L"
RANGE = (0.3, 10.0)
"""Flame speeds that are searched, by the estimate; flames that hardly burn are slower."""
THICK = 3.0
"""How much thicker than its preheated zone a flame is."""
BURNT_AT_START = 0.998
"""Part of the rise of temperature that a search begins with: fuel is used up slowly."""
COLDEST = 50.0
"""Temperatures below this one, K, which only a search passes, count as this in the rate."""
WORST = 0.01
"""The largest rms of the residuals, by the terms of the equation, of what is called a flame."""


def strong_form(problem: Flame) -> StrongForm:
    """The strong form of a flame whose inlet is known, but for its gradient.

    Raises:
        ConfigError: the state of the inlet is sought.
    """
    sought = [name for name in INLET.values() if name in problem.config.unknown.sought]
    if sought:
        raise ConfigError(
            f"the strong form prescribes the state of the inlet, and {sought[0]} is sought; drop "
            "its prior, or use finite elements"
        )
    return _Form(problem).build()


@dataclass(frozen=True)
class _Form:
    """The parts of the strong form of one problem, with sizes at the middle of the priors."""

    problem: Flame

    @cached_property
    def at(self) -> Parameters:
        return self.problem.config.centre

    @cached_property
    def rise(self) -> float:
        return burnt_temperature(self.problem.config.gas, self.at) - self.at.inlet_temperature

    @cached_property
    def _capacity(self) -> float:
        """ρ_in c_p."""
        mixture, at = self.problem.config.gas, self.at
        density = at.pressure / (mixture.specific_gas * at.inlet_temperature)
        return density * mixture.heat_capacity

    @cached_property
    def speed(self) -> float:
        """(2 λ q ∫ ω dT)^(1/2) / (ρ_in c_p rise), with ω at the pressure of the inlet, m s-1."""
        mixture, at, capacity = self.problem.config.gas, self.at, self._capacity
        temperature = np.linspace(at.inlet_temperature, at.inlet_temperature + self.rise, 1001)
        slow = 1e-6  # a flame without any kinetic energy
        rate = gas(mixture, at, temperature, slow).rate
        heat = mixture.heat_release * float(np.trapezoid(rate, temperature))
        return float(np.sqrt(2.0 * at.conductivity * heat)) / (capacity * self.rise)

    @cached_property
    def width(self) -> float:
        """λ/(ρ_in c_p s_L), the thickness of the preheated zone, m; within the domain."""
        found = self.at.conductivity / (self._capacity * self.speed)
        return float(np.clip(found, 1e-3 * self._length, self._length))

    @cached_property
    def size(self) -> float:
        """The mean of the advected heat over the domain, W m-3."""
        return self._capacity * self.speed * self.rise / self._length

    @property
    def _length(self) -> float:
        return self.problem.config.length

    @property
    def _number(self) -> Number:
        low, high = (factor * self.speed for factor in RANGE)
        return Number(SPEED, self.speed, low, high, "m s-1")

    @property
    def _slope_known(self) -> bool:
        return "inlet_gradient" not in self.problem.config.unknown.sought

    def build(self) -> StrongForm:
        cold, rise = self.at.inlet_temperature, self.rise
        outlet = Equation(lambda u, _c: u.first(0), lambda _: {}, rise / self.width)
        return StrongForm(
            axes=("x",),
            box=((0.0, self._length),),
            outputs=("T",),
            scale=rise,
            curved=(0,),
            interior=Equation(self._balance, self._inside, self.size),
            held={INLET_SIDE: lambda x: x[:, :1] * 0.0 + cold},
            soft={OUTLET_SIDE: outlet, **self._anchor()},
            sensing=self._sensing,
            fields=("T",),
            nodes=lambda level: self.problem.equations(level).elements.x[:, None],
            dataset=self._dataset,
            numbers=(self._number,),
            lift=self._lift,
            widths=(THICK * self.width,),
            check=self._check,
        )

    def _anchor(self) -> Mapping[Side, Equation]:
        """T′(0) = G where G is sought, so that no ansatz can hold it."""
        if self._slope_known:
            return {}
        size = self.at.inlet_gradient
        given = lambda points: {"G": self._value("inlet_gradient", len(points))}  # noqa: E731
        return {INLET_SIDE: Equation(lambda u, c: u.first(0) - c["G"], given, size)}

    def _lift(self, x: Any) -> tuple[Any, Any]:
        """The preheated zone without reaction, T_in + G δ (e^(x/δ) − 1), bent into burnt gas.

        The network's factor leaves the slope at the inlet alone, but where G is sought.
        """
        import torch

        rise = BURNT_AT_START * self.rise
        grown = torch.expm1((x / self.width).clamp(max=50.0))
        heated = self.at.inlet_gradient * self.width / rise * grown
        near = torch.tanh(x / self.width)
        guess = self.at.inlet_temperature + rise * heated / (1.0 + heated)
        return guess, near**2 if self._slope_known else near

    def _value(self, name: str, n: int) -> Any:
        return parameter_at(n, name, list(self.problem.config.unknown.sought), self.at)

    def _inside(self, points: Array) -> Coefficients:
        names = ("conductivity", "activation_energy", "pre_exponential")
        return {name: self._value(name, len(points)) for name in names}

    def _balance(self, u: Derivatives, c: Mapping[str, Any]) -> Any:
        """The energy equation, W m-3."""
        mixture, speed = self.problem.config.gas, u.number(SPEED)
        velocity, fraction = self._closures(u.value, speed)
        density = self._capacity / mixture.heat_capacity * speed / velocity
        temperature = u.value.clamp(min=COLDEST)
        k = c["pre_exponential"] * (-c["activation_energy"] / (GAS * temperature)).exp()
        rate = k * (density * fraction).clamp(min=0.0) ** mixture.order
        advected = self._capacity * speed * u.first(0)
        return advected - c["conductivity"] * u.second(0) - mixture.heat_release * rate

    def _closures(self, temperature: Any, speed: Any) -> tuple[Any, Any]:
        """u and Y, as :func:`pdeinv.problems.flame.chemistry.gas` has them."""
        mixture, cold = self.problem.config.gas, self.at.inlet_temperature
        constant = mixture.specific_gas
        half = 0.5 * (speed + constant * cold / speed)
        root = (half**2 - constant * temperature).clamp(min=0.0).sqrt()
        velocity = constant * temperature.clamp(min=COLDEST) / (half + root)
        start, _ = inlet_fraction(self.at.equivalence_ratio)
        share = mixture.heat_capacity / mixture.heat_release
        return velocity, start + share * (cold - temperature)

    def _sensing(self, sensors: Sensors) -> tuple[Array, Callable[[Derivatives], Any]]:
        return sensing(sensors, KINDS, self.at, self._readings)

    def _readings(self, u: Derivatives) -> Any:
        """Every quantity of :data:`.sensors.KINDS` at every point, (n, quantities)."""
        import torch

        temperature, speed = u.value, u.number(SPEED)
        velocity, fraction = self._closures(temperature, speed)
        speeds = speed.expand(len(temperature), 1)
        return torch.cat([speeds, temperature, velocity, fraction], dim=1)

    def _dataset(self, m: Array, u: Array, level: int, numbers: Mapping[str, float]) -> xr.Dataset:
        config = self.problem.config
        solution = Solution(u[:, 0], numbers[SPEED])
        at = parameters(config, m)
        return to_dataset(config, level, Solved(self.problem.equations(level), at, solution))

    def _check(
        self, u: Callable[[Array], Array], numbers: Mapping[str, float], residual: float
    ) -> None:
        """Refuse what is no flame within the domain.

        Raises:
            SolverDiverged: it is not, with the reason.
        """
        if not residual < WORST:
            raise SolverDiverged(
                f"the network found no flame: the rms of its residual is {residual:.2g} of the "
                f"equation's terms at s_L = {numbers[SPEED]:.3g} m/s, expected below {WORST:g}; "
                "train longer (solver.newton_steps), take another seed, or finite elements"
            )
        outlet = float(u(np.array([[self._length]]))[0, 0])
        reached = (outlet - self.at.inlet_temperature) / self.rise
        if not reached > BURNT:
            raise SolverDiverged(
                "the flame is extinguished or leaves the domain: the outlet reaches "
                f"{100 * reached:.0f} % of the rise of temperature, expected more than "
                f"{100 * BURNT:.0f} %; take a longer domain, or other parameters"
            )
