"""One-step flames by shooting: an initial value problem of order 8 and bisection of the speed.

Nothing is shared with the solver but the names of its parameters: equations are written down anew.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

GAS = 8.3145
MOLAR_MASS, HEAT_CAPACITY, HEAT_RELEASE, ORDER = 0.02897, 1000.0, 5e7, 1.6


def _equations(at, speed):
    specific, inlet = GAS / MOLAR_MASS, at.inlet_temperature
    flux = at.pressure / (specific * inlet) * speed
    start = at.equivalence_ratio / (at.equivalence_ratio + 4)

    def right(_, state):
        temperature, slope = state
        half = 0.5 * (speed + specific * inlet / speed)
        velocity = half - np.sqrt(half**2 - specific * temperature)
        fraction = start + HEAT_CAPACITY * (inlet - temperature) / HEAT_RELEASE
        burning = max(fraction * flux / velocity, 0.0) ** ORDER
        rate = at.pre_exponential * np.exp(-at.activation_energy / (GAS * temperature)) * burning
        return [slope, (flux * HEAT_CAPACITY * slope - HEAT_RELEASE * rate) / at.conductivity]

    return right, inlet + HEAT_RELEASE * start / HEAT_CAPACITY


def shoot(at, speed, length, places=None):
    """The solution of the initial value problem until it is too hot, or falls."""
    right, burnt = _equations(at, speed)

    def hot(_, state):
        return state[0] - burnt

    def falling(_, state):
        return state[1]

    hot.terminal = falling.terminal = True
    start = [at.inlet_temperature, at.inlet_gradient]
    return solve_ivp(
        right, (0.0, length), start, "DOP853", places, rtol=1e-12, atol=1e-9, events=(hot, falling)
    )


def flame_speed(at, length=3e-3, low=0.05, high=2.0, to=1e-11):
    """s_L in m/s by bisection: a flame that is too fast does not burn out, and overshoots."""
    while high - low > to * high:
        middle = 0.5 * (low + high)
        found = shoot(at, middle, length)
        low, high = (low, middle) if len(found.t_events[0]) else (middle, high)
    return 0.5 * (low + high)


def profile(at, places, speed=None):
    """Temperatures at places, and the speed, which is bisected to the last digit for that."""
    speed = flame_speed(at, to=2e-16) if speed is None else speed
    return shoot(at, speed, float(places[-1]), places).y[0], speed
