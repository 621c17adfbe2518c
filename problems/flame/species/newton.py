"""Newton's method for fields and eigenvalue, damped and bounded; pseudo-time where it fails.

Steps are damped by the natural monotonicity test, which does not depend on how equations are scaled
(Deuflhard 2011, §3.3). Temperatures and mass fractions stay within bounds. Pseudo-time adds a
lumped mass matrix over a step that grows as the residual falls (Kelley and Keyes 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from ..bordered_bands import BorderedBands
from ..globalised import Step, damped
from .equations import MASSES, Equations, Flame
from .gas import GAS
from .parameters import Parameters

__all__ = ["Scale", "checked", "converged", "marched"]

STEPS = 30
"""Steps of Newton's method at most."""
CLOSE = 1e-6
"""A relative step from which one more is exact to rounding."""
LEAST = 1e-2
"""The least damping."""
FACTOR = 3.0
"""The eigenvalue changes by no more than this factor a step."""
TIMES = 200
"""Pseudo-time steps at most."""
FIRST = 1e-5
"""The first pseudo-time step, s."""
ENOUGH = 0.1
"""Relative size of Newton's step from which it takes over."""

BURNT = {False: 0.9, True: 0.3}
"""Part of the rise of temperature to burnt gas that a flame reaches, at least: at the outlet where
it propagates freely, anywhere where streams of other gas cool it."""

HOT = 0.85
"""Part of the rise of temperature in pseudo-time that what Newton's method finds has at least."""

SHORT = 1e-9
"""A time, s, in which nothing happens to a flame."""


@dataclass(frozen=True)
class Scale:
    """How large fields are, and what they lie between.

    Attributes:
        fields: sizes (F,).
        low: the least values (F,).
        high: the largest.
    """

    fields: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, equations: Equations, at: Parameters) -> Scale:
        """Of one flame."""
        cold = min(at.inlet_temperature, at.opposed_temperature)
        hot, _ = equations.setting.burnt(at)
        masses = MASSES.stop - MASSES.start
        fields = [hot - cold, *[0.1] * masses]
        low, high = [0.8 * cold, *[-0.02] * masses], [1.2 * hot, *[1.02] * masses]
        if equations.setting.counterflow:
            flux = max(at.mass_flux, at.opposed_mass_flux)
            fields += [flux / float(np.ptp(equations.grid.x)), flux]
            low, high = [*low, -np.inf, -np.inf], [*high, np.inf, np.inf]
        return cls(np.array(fields), np.array(low), np.array(high))

    def size(self, step: Step, eigenvalue: float) -> float:
        """How large a step is: the root of the mean square over nodes of the largest field."""
        change = step[0].reshape(-1, len(self.fields)) / self.fields
        root = np.sqrt((change**2).mean(axis=0)).max()
        return float(max(root, abs(step[1] / eigenvalue)))

    def moved(self, flame: Flame, step: Step, part: float) -> Flame:
        """The flame after a part of a step, within its bounds."""
        change = part * step[0].reshape(flame.values.shape)
        values = np.clip(flame.values + change, self.low, self.high)
        old = flame.eigenvalue
        low, high = sorted((old / FACTOR, old * FACTOR))
        return Flame(values, float(np.clip(old + part * step[1], low, high)))


def converged(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The flame that Newton's method reaches.

    Raises:
        SolverDiverged: it does not.
    """
    return _newton(equations, at, start, None)


def _newton(equations: Equations, at: Parameters, start: Flame, inertia: Array | None) -> Flame:
    scale, flame = Scale.of(equations, at), start

    def step_of(factor: BorderedBands, new: Flame) -> Step:
        rows, border = equations.residual(at, new)
        if inertia is not None:
            rows = rows + inertia * (new.values - start.values).ravel()
        change, eigenvalue = factor.solve(-rows, -border)
        return change, float(eigenvalue[0])

    for _ in range(STEPS):
        factor = equations.factor(at, flame, inertia)
        step = step_of(factor, flame)
        size = scale.size(step, flame.eigenvalue)
        if not np.isfinite(size):
            break
        if size < CLOSE:
            return scale.moved(flame, step, 1.0)
        flame = damped(scale, (flame, flame.eigenvalue), step, partial(step_of, factor), LEAST)
    raise SolverDiverged(
        f"the flame did not converge in {STEPS} steps of Newton's method; the parameters are "
        "extreme, or the flame does not fit into the domain"
    )


def marched(equations: Equations, at: Parameters, start: Flame) -> Flame:
    """The steady flame that pseudo-time leads to.

    Raises:
        SolverDiverged: there is none.
    """
    flame, step, scale = start, FIRST, Scale.of(equations, at)
    for k in range(TIMES):
        try:
            new = _newton(equations, at, flame, _inertia(equations, at, flame) / step)
        except SolverDiverged:
            step /= 4
            if step < 1e-10:
                break
            continue
        change = scale.size(((new.values - flame.values).ravel(), 0.0), 1.0)
        flame, step = new, step * float(np.clip(0.1 / max(change, 1e-12), 0.5, 4.0))
        if k % 5 == 4 or step > 1e-2:
            try:
                return _as_hot(flame, checked(equations, at, converged(equations, at, flame)))
            except SolverDiverged:
                continue
    raise SolverDiverged("no steady flame was found in pseudo-time; the parameters are extreme")


def _as_hot(before: Flame, found: Flame) -> Flame:
    """What Newton's method found, where it is the flame that pseudo-time was on the way to.

    Raises:
        SolverDiverged: it is much colder: a flame on the branch that is not stable, or none.
    """
    tops = [float(np.ptp(flame.values[:, 0])) for flame in (before, found)]
    if tops[1] < HOT * tops[0]:
        raise SolverDiverged("Newton's method left the flame that burns")
    return found


def checked(equations: Equations, at: Parameters, flame: Flame) -> Flame:
    """The flame, where it burns within the domain.

    Raises:
        SolverDiverged: it does not: an extinguished flame is no solution that data could have.
    """
    counterflow = equations.setting.counterflow
    hot, _ = equations.setting.burnt(at)
    temperature = flame.values[:, 0]
    top = float(temperature.max() if counterflow else temperature[-1])
    reached = (top - at.inlet_temperature) / (hot - at.inlet_temperature)
    if not reached > BURNT[counterflow] or not np.isfinite(flame.values).all():
        remedy = (
            "take smaller mass fluxes, or other parameters"
            if counterflow
            else "take a longer domain, or other parameters"
        )
        raise SolverDiverged(
            f"the flame is extinguished or leaves the domain: it reaches {100 * reached:.0f} % of "
            f"the rise of temperature, expected more than {100 * BURNT[counterflow]:.0f} %; "
            f"{remedy}"
        )
    if counterflow and not _stable(equations, at, flame):
        raise SolverDiverged("the flame is on the branch that is not stable: it would go out")
    return flame


def _stable(equations: Equations, at: Parameters, flame: Flame) -> bool:
    """Whether no real eigenvalue in time has changed its sign, as one does beyond a fold.

    The determinant of the linearized flame then has the sign that it has with any inertia.
    """
    stiff = _inertia(equations, at, flame) / SHORT
    return equations.factor(at, flame).sign == equations.factor(at, flame, stiff).sign


def _inertia(equations: Equations, at: Parameters, flame: Flame) -> Array:
    """Of all rows but those of values that are given: ρ c_p of T, ρ of species and of V."""
    grid, gas = equations.grid, equations.setting.gas
    fractions = flame.values[:, MASSES]
    whole = np.column_stack([fractions, 1 - fractions.sum(axis=1)])
    density = at.pressure / (GAS * flame.values[:, 0] * (whole / gas.weights).sum(axis=1))
    out = np.zeros_like(flame.values)
    mass = grid.weights * density
    out[:, 0] = mass * HEAT
    out[:, 1:6] = mass[:, None]
    flat = out.ravel()
    flat[list(equations.given)] = 0.0
    return flat


HEAT = 1500.0
"""A heat capacity of hot gas, J kg-1 K-1, to weigh energy in pseudo-time."""
