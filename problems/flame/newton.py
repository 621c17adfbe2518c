"""Newton's method for temperatures and flame speed, damped and bounded; pseudo-time where it fails.

Steps are damped by the natural monotonicity test, which does not depend on how equations are scaled
(Deuflhard 2011, §3.3). Temperatures stay between that of the inlet and that of burnt gas, and
s_L positive. Pseudo-time adds the mass matrix over a step that grows as the residual falls
(Kelley and Keyes 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .bordered import Bordered
from .chemistry import Parameters, burnt_temperature
from .equations import Equations, Flame
from .globalised import Step, damped

__all__ = ["converged", "marched"]

STEPS = 40
"""Steps of Newton's method at most."""
CLOSE = 1e-7
"""A relative step from which one more is exact to rounding."""
LEAST = 1e-3
"""The least damping."""
FACTOR = 2.0
"""The speed changes by no more than this factor a step."""
SLACK = 0.02
"""How far temperatures may leave their bounds on the way, by the rise."""
TIMES = 120
"""Pseudo-time steps at most."""


@dataclass(frozen=True)
class Bounds:
    """What temperatures lie between.

    Attributes:
        cold: that of the inlet.
        rise: from there to burnt gas.
    """

    cold: float
    rise: float

    @classmethod
    def of(cls, equations: Equations, at: Parameters) -> Bounds:
        """Of one flame."""
        cold = at.inlet_temperature
        return cls(cold, burnt_temperature(equations.mixture, at) - cold)

    def size(self, step: Step, eigenvalue: float) -> float:
        """How large a step is, relative to the rise and to the speed."""
        change, ds = step
        return float(max(np.abs(change).max() / self.rise, abs(ds) / eigenvalue))

    def moved(self, flame: Flame, step: Step, part: float) -> Flame:
        """The flame after a part of a step, within its bounds."""
        change, ds = step
        low, high = self.cold - SLACK * self.rise, self.cold + (1 + SLACK) * self.rise
        temperature = flame.temperature.copy()
        temperature[1:] = np.clip(temperature[1:] + part * change, low, high)
        speed = flame.speed + part * ds
        return Flame(temperature, float(np.clip(speed, flame.speed / FACTOR, flame.speed * FACTOR)))


def converged(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The flame that Newton's method reaches.

    Raises:
        SolverDiverged: it does not.
    """
    return _newton(equations, at, start, 0.0, lambda flame: equations.residual(at, flame))


def _newton(
    equations: Equations,
    at: Parameters,
    start: Flame,
    inertia: float,
    residual: Callable[[Flame], Array],
) -> Flame:
    bounds, flame = Bounds.of(equations, at), start
    for _ in range(STEPS):
        factor = equations.factor(at, flame, inertia)
        step = _step(factor, residual(flame))
        size = bounds.size(step, flame.speed)
        if not np.isfinite(size):
            break
        if size < CLOSE:
            return bounds.moved(flame, step, 1.0)
        flame = damped(bounds, (flame, flame.speed), step, partial(_next, factor, residual), LEAST)
    raise SolverDiverged(
        f"the flame did not converge in {STEPS} steps of Newton's method; the parameters are "
        "extreme, or the flame does not fit into the domain"
    )


def _step(factor: Bordered, residual: Array) -> Step:
    return factor.solve(-residual[1:], -float(residual[0]))


def _next(factor: Bordered, residual: Callable[[Flame], Array], new: Flame) -> Step:
    return _step(factor, residual(new))


def marched(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The steady flame that pseudo-time leads to.

    Raises:
        SolverDiverged: there is none.
    """
    bounds, flame = Bounds.of(equations, at), start
    inertia, lost = _inertia(equations, at, start), 0
    before = bounds.size(_step(equations.factor(at, flame), equations.residual(at, flame)), 1.0)
    for _ in range(TIMES):
        try:
            new = _in_time(equations, at, flame, inertia)
        except SolverDiverged:
            inertia, lost = 8 * inertia, lost + 1
            if lost > 20:
                break
            continue
        step = _step(equations.factor(at, new), equations.residual(at, new))
        size = bounds.size(step, new.speed)
        flame = new
        if size < 0.05:
            return converged(equations, at, flame)
        inertia *= float(np.clip(size / before, 0.25, 1.0)) if size < before else 0.7
        before = size
    raise SolverDiverged("no steady flame was found in pseudo-time; the parameters are extreme")


def _in_time(equations: Equations, at: Parameters, flame: Flame, inertia: float) -> Flame:
    """One implicit step of pseudo-time."""
    old = flame.temperature
    return _newton(
        equations, at, flame, inertia,
        lambda new: equations.residual(at, new) + inertia * equations.mass(new.temperature - old),
    )  # fmt: skip


def _inertia(equations: Equations, at: Parameters, start: Flame) -> float:
    """ρ c_p over the time that conduction takes through a tenth of the preheated zone."""
    m = equations.mixture
    flux = at.pressure / (m.specific_gas * at.inlet_temperature) * start.speed * m.heat_capacity
    return 10 * flux**2 / at.conductivity
