"""Flame speeds against shooting, over the conditions of FlamePINN's first case, started low."""

from dataclasses import replace

import numpy as np
import pytest
from flame_shooting import flame_speed, profile

from pdeinv.problems.flame.chemistry import Mixture, Parameters, burnt_temperature, gas
from pdeinv.problems.flame.continuation import cold_start, solve_cold
from pdeinv.problems.flame.elements import Elements
from pdeinv.problems.flame.equations import Equations
from pdeinv.problems.flame.mesh import graded

ATM = 101325.0
GRID = [
    *(Parameters(pressure=p * ATM, equivalence_ratio=phi)
      for p in (1.0, 1.2) for phi in (0.40, 0.42, 0.44, 0.46, 0.48, 0.50)),
    *(Parameters(inlet_temperature=t) for t in (300.0, 350.0, 400.0, 450.0, 500.0, 550.0, 600.0)),
]  # fmt: skip
KNOWN = {0.40: 0.26782048, 0.44: 0.31797980, 0.50: 0.39434991}
"""Eigenvalues at 1 atm and 298 K that others have bisected, m/s."""


def equations(cells, part=0.5):
    return Equations(Mixture(), Elements(graded(1.5e-3, cells, part, Mixture(), Parameters())))


def named(at):
    return f"{at.pressure / ATM:g} atm, phi {at.equivalence_ratio:g}, {at.inlet_temperature:g} K"


@pytest.mark.parametrize("at", GRID, ids=named)
def test_speeds_are_the_eigenvalues_from_a_low_start(at):
    found, start = solve_cold(equations(200), at), cold_start(equations(200), at)
    exact = flame_speed(at)
    assert start.speed < 0.55 * exact
    assert abs(found.speed / exact - 1) < 1e-6


@pytest.mark.parametrize("phi", KNOWN)
def test_shooting_gives_the_published_digits(phi):
    assert abs(flame_speed(Parameters(equivalence_ratio=phi)) / KNOWN[phi] - 1) < 2e-8


@pytest.mark.parametrize("part", [0.0, 0.5], ids=["even", "graded"])
def test_speed_and_profile_converge_with_their_orders(part):
    at = Parameters(equivalence_ratio=0.42)
    exact, counts = flame_speed(at, to=1e-14), (50, 100, 200, 400)
    places = np.linspace(1e-4, 9e-4, 33)
    true, _ = profile(at, places)
    speeds, profiles = [], []
    for cells in counts:
        on = equations(cells, part)
        found = solve_cold(on, at)
        speeds.append(abs(found.speed / exact - 1))
        read = on.elements.evaluation(places) @ found.temperature
        profiles.append(np.sqrt(np.mean((read - true) ** 2)) / np.ptp(true))
    orders = np.log2(np.array(speeds[:-1]) / speeds[1:])
    assert abs(orders[-1] - 4) < 0.1, (speeds, orders)
    order = np.log2(profiles[0] / profiles[-1]) / 3
    assert order > 2.9, profiles
    assert speeds[2] < 5e-7
    assert profiles[2] < 1e-5


def test_energy_is_conserved():
    at, on = Parameters(equivalence_ratio=0.46), equations(400)
    flame = solve_cold(on, at)
    assert abs(on.residual(at, flame).sum()) < 1e-6 * burned(on, at, flame)
    inflow = at.conductivity * at.inlet_gradient
    rise = flame.temperature[-1] - flame.temperature[0]
    carried = at.pressure / (on.mixture.specific_gas * 298.0) * flame.speed * 1000.0 * rise
    assert carried + inflow == pytest.approx(burned(on, at, flame), rel=1e-10)


def burned(on, at, flame):
    """∫ q ω dx."""
    e = on.elements
    at_points = gas(on.mixture, at, e.at_points(e.values, flame.temperature), flame.speed)
    return 5e7 * float((e.weights * at_points.rate).sum())


@pytest.mark.parametrize("name", ["T", "s", *Parameters.__dataclass_fields__])
def test_closures_and_their_derivatives_agree(name):
    at, speed, temperature = Parameters(), 0.3, np.linspace(400.0, 4500.0, 9)
    found = gas(Mixture(), at, temperature, speed, (name,))

    def moved(part):
        if name == "T":
            return gas(Mixture(), at, temperature * (1 + part), speed)
        if name == "s":
            return gas(Mixture(), at, temperature, speed * (1 + part))
        return gas(
            Mixture(), replace(at, **{name: getattr(at, name) * (1 + part)}), temperature, speed
        )

    size = {"T": temperature, "s": speed}.get(name, getattr(at, name, None))
    for quantity in ("rate", "velocity", "fraction", "flux"):
        slope = (getattr(moved(1e-5), quantity) - getattr(moved(-1e-5), quantity)) / 2e-5
        by = getattr(found, f"{quantity}_by").get(name, 0.0)
        np.testing.assert_allclose(slope, by * size, rtol=1e-6, atol=1e-9)


def test_gas_law_and_momentum_hold():
    at, speed = Parameters(), 0.3
    temperature = np.linspace(298.0, burnt_temperature(Mixture(), at), 20)
    found = gas(Mixture(), at, temperature, speed)
    density, specific = found.flux / found.velocity, Mixture().specific_gas
    pressure = at.pressure - found.flux * (found.velocity - speed)
    np.testing.assert_allclose(density * specific * temperature, pressure, rtol=1e-9)


def test_cells_of_a_graded_mesh_lie_where_the_flame_bends():
    places = graded(1.5e-3, 200, 0.5, Mixture(), Parameters())
    width = np.diff(places)
    assert width.min() > 0
    assert width.max() <= 2.01 * 1.5e-3 / 200
    at = places[np.argmin(width)]
    flame, x = solve_cold(equations(200), Parameters()), equations(200).elements.x
    assert 0.2 < (np.interp(at, x, flame.temperature) - 298.0) / np.ptp(flame.temperature) < 0.95
