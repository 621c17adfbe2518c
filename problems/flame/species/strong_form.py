"""The equations of a flame of five species at points, with its eigenvalue as a number.

A network gives T, four logits of the mass fractions beside that of N2 and, of a counterflow, V and
M; a softmax makes of logits fractions that are positive and sum to one. What the streams prescribe
holds by construction, as does the fixed temperature of a free flame.
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

from ..one_flame import parameter_at, sensing
from .equations import Flame
from .fields import EIGENVALUES, to_dataset
from .flames import continuation, setting_of
from .gas import GAS, SPECIES
from .model import Solved
from .newton import BURNT
from .parameters import Parameters, Setting
from .physics import SCALED
from .pointwise import Pointwise, fractions
from .profiles import Free, Guess
from .sensors import KINDS
from .streams import Counterflow
from .unknown import parameters

if TYPE_CHECKING:
    from .problem import FlameSpecies

__all__ = ["strong_form"]

INSIDE = tuple(name for name in SCALED[1:] if name != "pressure")
"""What may be sought: the rest is prescribed at the ends."""
WORST = 0.002
"""The largest rms of the residuals, by the terms of the equations, of what is called a flame."""
SOME = len(SPECIES) - 1


def strong_form(problem: FlameSpecies) -> StrongForm:
    """The strong form of a flame whose streams are known.

    Raises:
        ConfigError: something of the streams, or the pressure, is sought.
        MissingDependency: Cantera is not installed.
    """
    given = [name for name in problem.config.sought if name not in INSIDE]
    if given:
        raise ConfigError(
            f"the strong form prescribes the streams, and {given[0]} is sought; drop its prior, or "
            "use finite elements"
        )
    return _Form(problem).build()


@dataclass(frozen=True)
class _Form:
    """The parts of the strong form of one problem, with sizes at the middle of the priors."""

    problem: FlameSpecies

    @cached_property
    def at(self) -> Parameters:
        return self.problem.config.centre

    @cached_property
    def setting(self) -> Setting:
        return setting_of(self.problem.config)

    @cached_property
    def guess(self) -> Guess:
        config = self.problem.config
        kind = Counterflow if config.counterflow else Free
        return kind.of(self.setting, config.law, config.domain, self.at)

    @cached_property
    def physics(self) -> Pointwise:
        return Pointwise(self.setting, self.problem.config.law)

    def build(self) -> StrongForm:
        guess, length = self.guess, self.problem.config.length
        start = lambda x: guess(x)[0]  # noqa: E731
        sides = (Side(0, 0), Side(0, 1)) if self.setting.counterflow else (Side(0, 0),)
        return StrongForm(
            axes=("x",),
            box=((0.0, length),),
            outputs=guess.outputs,
            scale=1.0,
            curved=(0,),
            interior=Equation(self._balances, self._inside, 1.0),
            held=dict.fromkeys(sides, start),
            soft={} if self.setting.counterflow else {Side(0, 1): self._outlet()},
            sensing=self._sensing,
            fields=("T", *(f"Y_{name}" for name in SPECIES)),
            nodes=self._nodes,
            dataset=self._dataset,
            numbers=(Number(self._name, *guess.eigenvalue, EIGENVALUES[self._between][1]),),
            lift=guess,
            widths=(guess.width,),
            centres=(guess.centre,),
            spread=guess.spread,
            check=self._check,
        )

    @property
    def _between(self) -> bool:
        return self.setting.counterflow

    @property
    def _name(self) -> str:
        return EIGENVALUES[self._between][0]

    def _outlet(self) -> Equation:
        """No gradients of temperature and species."""
        width, rise = self.guess.width, self.guess.thin.hot - self.guess.thin.cold

        def slopes(u: Derivatives, _: Mapping[str, Any]) -> Any:
            _, first, _ = self._fields(u)
            table = first.new_tensor([rise, *[0.1] * SOME])
            return width * first[:, : SOME + 1] / table

        return Equation(slopes, lambda _: {}, 1.0)

    def _fields(self, u: Derivatives) -> tuple[Any, Any, Any]:
        """T, five fractions and, of a counterflow, V and M, with both derivatives."""
        import torch

        parts = (u.value, u.first(0), u.second(0))
        species = fractions(*(p[:, 1 : SOME + 1] for p in parts))
        joined = (
            torch.cat([p[:, :1], y, p[:, SOME + 1 :]], dim=1)
            for p, y in zip(parts, species, strict=True)
        )
        value, first, second = joined
        return value, first, second

    def _value(self, name: str, n: int) -> Any:
        return parameter_at(n, name, list(self.problem.config.sought), self.at)

    def _inside(self, points: Array) -> Coefficients:
        numbers = {name: self._value(name, len(points)) for name in SCALED[1:]}
        return {**numbers, "sizes": self.guess.sizes(points)}

    def _balances(self, u: Derivatives, c: Mapping[str, Any]) -> Any:
        """All equations in units of their terms."""
        import torch

        fields, number = self._fields(u), u.number(self._name)
        numbers = {**c, "eigenvalue": number}
        if self._between:
            found = self.physics.balances(fields, fields[0][:, 7:8], numbers)
            found += self.physics.conserved(fields[0], numbers, found)
            return torch.cat(found, dim=1) / c["sizes"]
        flux = self.guess.thin.density * number
        found = self.physics.balances(fields, flux, numbers)
        found += self.physics.integrals(fields, flux, numbers, self._inlet)
        # by the terms of the flame that is tried, so that a slow one has no small residuals
        return torch.cat(found, dim=1) / c["sizes"] * self._slower(number)

    def _slower(self, number: Any) -> Any:
        import torch

        ratio = self.guess.eigenvalue[0] / number
        return torch.cat([(ratio**2).expand(-1, SOME + 1), ratio.expand(-1, SOME)], dim=1)

    @cached_property
    def _inlet(self) -> tuple[float, Array]:
        """Enthalpy and mass fractions of the reactants."""
        fresh = self.guess.thin.fresh
        return self.setting.gas.enthalpy(self.at.inlet_temperature, fresh), fresh

    def _nodes(self, level: int) -> Array:
        return continuation(self.problem.config, level, self.at).equations.grid.x[:, None]

    def _dataset(self, m: Array, u: Array, level: int, numbers: Mapping[str, float]) -> xr.Dataset:
        import torch

        config = self.problem.config
        known = continuation(config, level, self.at)
        y = torch.softmax(torch.nn.functional.pad(torch.as_tensor(u[:, 1 : SOME + 1]), (0, 1)), 1)
        values = np.hstack([u[:, :1], y.numpy()[:, :SOME], u[:, SOME + 1 :]])
        factor = 1.0 if self._between else self.guess.thin.density
        flame = Flame(values, factor * numbers[self._name])
        return to_dataset(config, level, Solved(known.equations, parameters(config, m), flame))

    def _sensing(self, sensors: Sensors) -> tuple[Array, Callable[[Derivatives], Any]]:
        return sensing(sensors, KINDS, self.at, self._readings)

    def _readings(self, u: Derivatives) -> Any:
        """Every quantity of :data:`.sensors.KINDS` at every point, (n, quantities)."""
        import torch

        w, number = self._fields(u)[0], u.number(self._name).expand(len(u.value), 1)
        amount = (w[:, 1:6] / w.new_tensor(self.setting.gas.weights)).sum(1, keepdim=True)
        flux = w[:, 7:8] if self._between else self.guess.thin.density * number
        velocity = flux * GAS * w[:, :1] * amount / self.at.pressure
        spread = w[:, 6:7] if self._between else torch.zeros_like(velocity)
        return torch.cat([number, w[:, :1], velocity, spread, w[:, 1:6]], dim=1)

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
                f"equations' terms at {self._name} = {numbers[self._name]:.4g}, expected below "
                f"{WORST:g}; train longer (solver.newton_steps), take another seed, or finite "
                "elements"
            )
        x = np.linspace(0.0, self.problem.config.length, 1001)[:, None]
        hot, cold = u(x)[:, 0], self.guess.thin.cold
        reached = (hot.max() if self._between else hot[-1]) - cold
        part = reached / (self.guess.thin.hot - cold)
        if not part > BURNT[self._between]:
            raise SolverDiverged(
                f"the flame is extinguished or leaves the domain: it reaches {100 * part:.0f} % of "
                f"the rise of temperature, expected more than {100 * BURNT[self._between]:.0f} %; "
                "take a longer domain, or other parameters"
            )
