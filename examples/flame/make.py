"""How the data of this example were made: flames by shooting, which shares nothing with pdeinv.

    python examples/flame/make.py

The one-step flame as an initial value problem (Runge-Kutta of order 8), its speed by bisection.
Temperature and velocity at ten places for φ = 0.46, 1 atm and 25 °C, and five flame speeds at other
states of the inlet; 2 % noise on each value. λ is 0.026 W/(m K), E 121417.2 J/mol, the gradient at
the inlet 1e5 K/m.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

HERE = Path(__file__).parent
GAS, MOLAR_MASS, CP, HEAT, ORDER = 8.3145, 0.02897, 1000.0, 5e7, 1.6
CONDUCTIVITY, ENERGY, FACTOR, GRADIENT = 0.026, 121417.2, 1.4e8, 1e5
ATM, NOISE = 101325.0, 0.02


def shot(
    inlet: tuple[float, float, float], speed: float, x: NDArray[np.float64]
) -> tuple[Any, Any]:
    """The solution from the inlet on, until it is hotter than burnt gas, or falls."""
    pressure, cold, phi = inlet
    specific, start = GAS / MOLAR_MASS, phi / (phi + 4)
    flux = pressure / (specific * cold) * speed

    def velocity(temperature: Any) -> Any:
        half = 0.5 * (speed + specific * cold / speed)
        return half - np.sqrt(half**2 - specific * temperature)

    def right(_: float, state: Any) -> list[Any]:
        temperature, slope = state
        fraction = max(start + CP * (cold - temperature) / HEAT, 0.0)
        rate = FACTOR * np.exp(-ENERGY / (GAS * temperature))
        rate *= (fraction * flux / velocity(temperature)) ** ORDER
        return [slope, (flux * CP * slope - HEAT * rate) / CONDUCTIVITY]

    def hot(_: float, state: Any) -> float:
        return float(state[0] - cold - HEAT * start / CP)

    def falling(_: float, state: Any) -> float:
        return float(state[1])

    hot.terminal = falling.terminal = True  # type: ignore[attr-defined]
    how: Any = {"rtol": 1e-12, "atol": 1e-9, "events": (hot, falling)}
    found = solve_ivp(right, (0.0, 2 * x[-1]), [cold, GRADIENT], "DOP853", x, **how)
    return found, velocity


def flame_speed(inlet: tuple[float, float, float]) -> float:
    """s_L in m/s to the last digit: a flame that is too fast overshoots."""
    low, high, far = 0.05, 2.0, np.array([3e-3])
    while low < 0.5 * (low + high) < high:
        speed = 0.5 * (low + high)
        overshot = len(shot(inlet, speed, far)[0].t_events[0])
        low, high = (low, speed) if overshot else (speed, high)
    return low


def main() -> None:
    """Write the table: a row for each place of the profile, and one for each flame speed."""
    rng = np.random.default_rng(17)
    lines = [
        "phi,p [atm],T_in [degC],x [mm],T [degC],T_sigma [K],u [cm/s],u_sigma [cm/s],"
        "s_L [cm/s],s_L_sigma [cm/s]"
    ]
    x = np.linspace(0.08e-3, 0.8e-3, 10)
    inlet = (ATM, 298.15, 0.46)
    found, velocity = shot(inlet, flame_speed(inlet), x)
    for place, t, u in zip(x, found.y[0], velocity(found.y[0]), strict=True):
        seen = t * (1 + NOISE * rng.standard_normal()), u * (1 + NOISE * rng.standard_normal())
        lines.append(
            f"0.46,1,25,{1e3 * place:.2f},{seen[0] - 273.15:.1f},{NOISE * t:.1f},"
            f"{100 * seen[1]:.2f},{100 * NOISE * u:.2f},,"
        )
    for phi, p, celsius in (
        (0.4, 1, 25),
        (0.43, 1, 25),
        (0.49, 1, 25),
        (0.46, 1.2, 25),
        (0.4, 1, 150),
    ):
        speed = 100 * flame_speed((p * ATM, celsius + 273.15, phi))
        seen_speed = speed * (1 + NOISE * rng.standard_normal())
        lines.append(f"{phi},{p},{celsius},,,,,,{seen_speed:.2f},{NOISE * speed:.3f}")
    (HERE / "flame.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
