"""A flame from nothing: a cold start, and continuation in the parameters where that fails.

The start is a preheated zone without reaction, T = T_in + G δ (e^(x/δ) − 1), which has the gradient
G at the inlet and is as thick as the domain allows: the flame speed λ/(ρ_in c_p δ) is a low one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .chemistry import FLAMMABLE, NAMES, Parameters, burnt_temperature
from .equations import Equations, Flame
from .globalised import walked
from .newton import converged, marched

__all__ = ["Continuation", "cold_start", "solve_cold"]

PLACE = 0.6
"""Where, as a part of the domain, the start is burnt."""
BURNT = 0.9
"""Part of the rise of temperature that a flame reaches at the outlet, at least."""
SMALLEST = 1 / 16
"""The least part of the way between two sets of parameters that continuation takes at once."""
RANGE = (1e-30, 1e30)
"""Numbers that can be squared."""
FAR = 0.5
"""Relative changes of the flame speed beyond which the tangent is no start."""


def cold_start(equations: Equations, at: Parameters) -> Flame:
    """The preheated zone without reaction.

    Raises:
        SolverDiverged: the parameters are not positive and finite, or there is no such zone.
    """
    check_parameters(at)
    x, mixture = equations.elements.x, equations.mixture
    length, gradient = float(x[-1]), at.inlet_gradient
    rise = burnt_temperature(mixture, at) - at.inlet_temperature

    def too_long(thickness: float) -> float:
        return thickness * float(np.log1p(rise / (gradient * thickness))) - PLACE * length

    most = 1e3 * length
    if not np.isfinite(rise):
        raise SolverDiverged("the heat release is too large to compute with; it is in J kg-1")
    if not too_long(most) > 0:
        raise SolverDiverged(
            f"an inlet gradient of {gradient:g} K/m reaches burnt gas within {rise / gradient:.2g} "
            f"m, at the very start of a domain of {length:g} m; take a shorter domain, or a "
            "smaller gradient"
        )
    thickness = float(brentq(too_long, 1e-9 * length, most))
    density = at.pressure / (mixture.specific_gas * at.inlet_temperature)
    speed = at.conductivity / (density * mixture.heat_capacity * thickness)
    preheated = gradient * thickness * np.expm1(np.minimum(x / thickness, 500.0))
    return Flame(at.inlet_temperature + np.minimum(preheated, rise), speed)


def check_parameters(at: Parameters) -> None:
    """Refuse parameters that are not positive and of a size to compute with, or no lean mixture.

    Raises:
        SolverDiverged: names the first one.
    """
    for name, value in asdict(at).items():
        low, high = FLAMMABLE if name == "equivalence_ratio" else RANGE
        if not low <= value <= high:
            raise SolverDiverged(
                f"{name.replace('_', ' ')} must lie between {low:g} and {high:g}, got {value:g}"
            )


def checked(equations: Equations, at: Parameters, flame: Flame) -> Flame:
    """The flame, where it burns within the domain.

    Raises:
        SolverDiverged: it does not: an extinguished flame is no solution that data could have.
    """
    rise = burnt_temperature(equations.mixture, at) - at.inlet_temperature
    reached = float(flame.temperature[-1] - at.inlet_temperature) / rise
    if not reached > BURNT:
        raise SolverDiverged(
            "the flame is extinguished or leaves the domain: the outlet reaches "
            f"{100 * reached:.0f} % of the rise of temperature, expected more than "
            f"{100 * BURNT:.0f} %; take a longer domain, or other parameters"
        )
    return flame


def solve_cold(equations: Equations, at: Parameters) -> Flame:
    """The flame that pseudo-time leads to from the cold start.

    Newton's method alone would fail there, or end in a flame that is extinguished.

    Raises:
        SolverDiverged: there is none.
    """
    with np.errstate(all="ignore"):
        return checked(equations, at, marched(equations, at, cold_start(equations, at)))


@dataclass(frozen=True)
class Continuation:
    """Flames from one that is known, with nothing kept between calls.

    A flame is solved for from the tangent at the known one, else from the cold start, else along
    the way between both sets of parameters.

    Attributes:
        equations: of all of them.
        known: parameters of the flame that others start from.
    """

    equations: Equations
    known: Parameters

    @cached_property
    def flame(self) -> Flame:
        """The known one."""
        return solve_cold(self.equations, self.known)

    @cached_property
    def _tangent(self) -> tuple[Array, Array]:
        """Its change with ln θ: of temperatures (n, 7), and of ln s_L (7,)."""
        columns = self.equations.by_parameters(self.known, self.flame)
        factor = self.equations.factor(self.known, self.flame)
        values = _numbers(self.known)
        temperature, speed = np.zeros((self.equations.elements.size, len(NAMES))), np.zeros(7)
        for k, column in enumerate(columns.T):
            change, ds = factor.solve(-column[1:] * values[k], -float(column[0]) * values[k])
            temperature[1:, k], speed[k] = change, ds / self.flame.speed
        temperature[0, NAMES.index("inlet_temperature")] = self.known.inlet_temperature
        return temperature, speed

    def __call__(self, at: Parameters) -> Flame:
        """The flame of other parameters.

        Raises:
            SolverDiverged: there is none, with the reason.
        """
        check_parameters(at)
        with np.errstate(all="ignore"):
            for way in (self._near, self._cold):
                try:
                    return way(at)
                except SolverDiverged as error:
                    reason = error
            return self._along(at, reason)

    def _near(self, at: Parameters) -> Flame:
        return checked(self.equations, at, converged(self.equations, at, self._predicted(at)))

    def _cold(self, at: Parameters) -> Flame:
        return solve_cold(self.equations, at)

    def _predicted(self, at: Parameters) -> Flame:
        """By the tangent at the known flame, which itself is right at its own parameters.

        Raises:
            SolverDiverged: the other one is too far for that.
        """
        change = np.log(_numbers(at) / _numbers(self.known))
        temperature, speed = self._tangent
        ln_speed = float(speed @ change)
        if not abs(ln_speed) < FAR:
            raise SolverDiverged("too far from the known flame")
        rise = burnt_temperature(self.equations.mixture, at) - at.inlet_temperature
        found = self.flame.temperature + temperature @ change
        found = np.clip(found, at.inlet_temperature, at.inlet_temperature + rise)
        found[0] = at.inlet_temperature
        return Flame(found, self.flame.speed * float(np.exp(ln_speed)))

    def _along(self, at: Parameters, error: SolverDiverged) -> Flame:
        """By parameters between, whose steps are halved where one fails.

        Raises:
            SolverDiverged: the error of the direct way, where this one fails as well.
        """

        def to(numbers: Array, flame: Flame) -> Flame:
            now = Parameters(*numbers.tolist())
            return _moved(self.equations, now, _at_inlet(flame, now))

        try:
            return walked((_numbers(self.known), _numbers(at)), self.flame, (0.5, SMALLEST), to)
        except SolverDiverged:
            raise error from None


def _moved(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The flame near a known one: by Newton's method, else in pseudo-time."""
    try:
        return checked(equations, at, converged(equations, at, start))
    except SolverDiverged:
        return checked(equations, at, marched(equations, at, start))


def _numbers(at: Parameters) -> Array:
    return np.array(list(asdict(at).values()), dtype=np.float64)


def _at_inlet(flame: Flame, at: Parameters) -> Flame:
    """The flame as a start for another temperature at the inlet."""
    temperature = np.maximum(flame.temperature, at.inlet_temperature)
    temperature[0] = at.inlet_temperature
    return Flame(temperature, flame.speed)
