"""One of Cantera's flames: its state as an array, its equations, and its solution on a fixed grid.

The state holds velocity, temperature and mass fractions (of counterflow flames the radial velocity
over the radius and the radial pressure curvature as well), one row each, at the points of the grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .config import DetailedConfig
from .inlet import Inlet
from .mechanism import cantera, mixture, opposed, said

__all__ = ["HEAT", "Stack", "names_of"]

TOLERANCES = (1e-10, 1e-16)
"""Relative and absolute, of the last step of Newton's method."""

STEPS = 500
"""Of pseudo-time, at most, before a flame counts as not found."""

HEAT = 200.0
"""Least rise of the temperature, K, of a flame that burns."""


class Stack:
    """A flame between its inlets.

    Args:
        config: of the problem.
        gas: that the flame is made of; its rates are those of the flame.
        inlet: the state there.
        grid: points, m, for a state that is put; None for the coarse grid and the guess that
            refinement begins with.
    """

    def __init__(
        self, config: DetailedConfig, gas: Any, inlet: Inlet, grid: Array | None = None
    ) -> None:
        ct = cantera()
        kinds = {
            "free": ct.FreeFlame,
            "burner": ct.BurnerFlame,
            "counterflow": ct.CounterflowPremixedFlame,
            "diffusion": ct.CounterflowDiffusionFlame,
        }
        self.config, self.gas = config, gas
        mixture(config, gas, inlet)
        self.flame = kinds[config.configuration](
            gas, **({"width": config.length} if grid is None else {"grid": grid})
        )
        self.flow = self.flame.flame
        self.set_inlet(inlet)
        if grid is None:
            self._guess()
        else:  # a guess of its own might put a point into the grid
            ct.FlameBase.set_initial_guess(self.flame)
        self._impose()
        self.names = names_of(config, gas)
        self.flame.max_time_step_count = STEPS

    @property
    def opposed(self) -> bool:
        """Whether there is a second inlet."""
        return self.config.configuration in ("counterflow", "diffusion")

    def set_inlet(self, inlet: Inlet) -> None:
        """Give both inlets, and the pressure, the values of a state."""
        left, _, right = self.flame.domains
        if self.opposed:
            right.T, right.Y = opposed(self.config, self.gas, inlet)
            right.mdot = self.config.opposed.mass_flux
        left.Y = mixture(self.config, self.gas, inlet)
        left.T = inlet.inlet_temperature
        if self.config.configuration != "free":
            left.mdot = inlet.mass_flux
        self.flame.P = inlet.pressure

    def _guess(self) -> None:
        if self.config.configuration == "counterflow":
            self.flame.set_initial_guess(equilibrate=False)
        else:
            self.flame.set_initial_guess()

    def _impose(self) -> None:
        """Give the flame the profile of temperatures, where there is one."""
        profile = self.config.temperatures
        if profile.x:
            places = np.clip(np.asarray(profile.x) / self.config.length, 0.0, 1.0)
            self.flow.set_fixed_temp_profile(places, profile.T)

    @property
    def grid(self) -> Array:
        """Its points, m."""
        return np.array(self.flow.grid)

    @property
    def state(self) -> Array:
        """Of shape (names, points)."""
        return np.stack([self.flow.values(name) for name in self.names])

    def put(self, state: Array) -> None:
        """Give the flame a state."""
        for name, row in zip(self.names, state, strict=True):
            self.flow.set_values(name, row)

    def residual(self, state: Array) -> Array:
        """F of a state, of its shape: zero for a steady flame."""
        self.put(state)
        return self.again()

    def again(self) -> Array:
        """F of the state that the flame has."""
        self.flame.eval()
        return np.stack([self.flow.residuals(name) for name in self.names])

    def pin(self, temperature: float) -> None:
        """Hold a free flame where it has that temperature, a point of the grid."""
        self.flame.fixed_temperature = temperature

    def transport(self) -> None:
        """The configured transport and energy equation."""
        self.flow.transport_model = self.config.transport
        self.flow.soret_enabled = self.config.soret
        self.flow.energy_enabled = not self.config.temperatures.x

    def refined(self) -> None:
        """Solve, from the initial guess, on grids that Cantera refines.

        Raises:
            SolverDiverged: there is no flame, or the grid grows beyond Cantera's limit.
        """
        c = self.config
        self.flame.set_refine_criteria(ratio=c.ratio, slope=c.slope, curve=c.curve)
        self.flow.energy_enabled = not c.temperatures.x
        self._solve(refine_grid=True, auto=False, again=not c.temperatures.x)
        self.transport()
        self._solve(refine_grid=True)

    def settled(self) -> Array:
        """Solve on the grid as it is, to rounding; the state.

        Raises:
            SolverDiverged: there is no flame.
        """
        self.transport()
        self.flow.set_steady_tolerances(default=TOLERANCES)
        # the second call takes a step more with the factor of the first
        self._solve(refine_grid=False)
        self._solve(refine_grid=False)
        return self.state

    def _solve(self, *, refine_grid: bool, auto: bool = False, again: bool = False) -> None:
        """Solve; where that fails and ``again``, by Cantera's ladder of easier problems.

        Raises:
            SolverDiverged: there is no flame.
        """
        ct = cantera()
        try:
            # FreeFlame's own would make the domain wider
            ct.FlameBase.solve(self.flame, 0, refine_grid, auto)
        except (ct.CanteraError, RuntimeError) as error:
            if again:
                self._guess()
                self._solve(refine_grid=refine_grid, auto=True)
                return
            raise SolverDiverged(f"Cantera finds no flame: {said(error)}") from None
        self.check_burning()

    def check_burning(self) -> None:
        """Refuse flat profiles.

        Raises:
            SolverDiverged: the flame went out.
        """
        if self.config.temperatures.x:
            return
        temperature = np.asarray(self.flow.values("T"))
        hottest = max(temperature[0], temperature[-1] if self.opposed else 0.0)
        burnt = self.config.configuration == "counterflow" and temperature[-1] > 1000.0
        rise = temperature.max() - (temperature[0] if burnt else hottest)
        if not rise >= HEAT:
            raise SolverDiverged(
                f"the flame went out: its hottest gas is {temperature.max():.0f} K"
            )


def names_of(config: DetailedConfig, gas: Any) -> tuple[str, ...]:
    """The rows of states, the mass fractions last."""
    opposed = config.configuration in ("counterflow", "diffusion")
    return ("velocity", "T", *(("spreadRate", "Lambda") if opposed else ()), *gas.species_names)
