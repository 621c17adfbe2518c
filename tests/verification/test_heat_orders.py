"""Heat converges at the order of scheme and element to known solutions, and balances its heat."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.fem.spacetime import SpaceTime
from pdeinv.problems.heat import Heat, HeatConfig

EXACT = "exp(-t)*sin(2*t+1)*sin(pi*x)*cos(pi*y/2) + x*y*t"
K, RHO = "(1 + x + y/2)", "(1 + y)"
U_T = "(exp(-t)*(2*cos(2*t+1) - sin(2*t+1))*sin(pi*x)*cos(pi*y/2) + x*y)"
U_X = "(exp(-t)*sin(2*t+1)*pi*cos(pi*x)*cos(pi*y/2) + y*t)"
U_Y = "(-exp(-t)*sin(2*t+1)*pi/2*sin(pi*x)*sin(pi*y/2) + x*t)"
LAPLACE = "(-5*pi**2/4*exp(-t)*sin(2*t+1)*sin(pi*x)*cos(pi*y/2))"
SOURCE = f"{RHO}*{U_T} - {K}*{LAPLACE} - {U_X} - {U_Y}/2"


def manufactured(element="P2", cells=16, scheme="crank-nicolson", steps=8, source=SOURCE):
    """All three kinds of conditions, each depending on time."""
    return Heat(
        HeatConfig.model_validate(
            {
                "cells": cells,
                "element": element,
                "conductivity": K,
                "capacity": RHO,
                "source": source,
                "initial": EXACT.replace("*t", "*0").replace("(-t)", "(0)"),
                "time": {"steps": steps, "scheme": scheme},
                "boundary": {
                    "left": {"kind": "dirichlet", "value": EXACT},
                    "bottom": {"kind": "dirichlet", "value": EXACT},
                    "right": {"kind": "flux", "value": f"-{K}*{U_X}"},
                    "top": {"kind": "robin", "coefficient": 2, "ambient": f"{EXACT} + {K}*{U_Y}/2"},
                },
                "unknown": {
                    "kind": "point-sources",
                    "strength": {"mean": -60.0, "std": 1e-3},
                },
            }
        )
    )


def error(problem, level=0):
    """The relative L2 error at the end."""
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    sensors = {"x": np.array([0.5]), "y": np.array([0.5]), "t": np.array([1.0])}
    model = problem.forward_model(sensors, level)
    *_, (_, u) = model.states(m)
    rule = model.discretisation.space.rule(8)
    exact = SpaceTime(EXACT)(rule.points, 1.0)
    off = rule.values @ u - exact
    return float(np.sqrt(rule.weights @ off**2 / (rule.weights @ exact**2)))


@pytest.mark.parametrize(
    ("scheme", "steps", "order", "cap"),
    [("implicit-euler", 20, 1, 0.02), ("crank-nicolson", 5, 2, 5e-4), ("bdf2", 20, 2, 2e-3)],
)
def test_the_error_falls_at_the_order_of_the_scheme(scheme, steps, order, cap):
    """Few steps for Crank-Nicolson, whose error soon falls to that of the mesh."""
    errors = [error(manufactured(scheme=scheme, steps=n)) for n in (steps, 2 * steps)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)
    assert errors[1] < cap


@pytest.mark.parametrize(
    ("element", "order", "cap"),
    [("P1", 2, 3e-3), ("Q1", 2, 3e-3), ("P2", 3, 5e-5), ("Q2", 3, 5e-5)],
)
def test_the_error_falls_at_the_order_of_the_element(element, order, cap):
    errors = [error(manufactured(element, cells=n, steps=600)) for n in (8, 16)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)
    assert errors[1] < cap


def test_a_level_halves_cells_and_steps():
    errors = [error(manufactured("P1", cells=8, steps=10), level) for level in (0, 1, 2)]
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.15)


def test_a_wrong_source_destroys_the_order():
    """Negative control."""
    spoilt = f"1.01*({SOURCE})"
    errors = [error(manufactured(steps=n, source=spoilt)) for n in (20, 40)]
    assert np.log2(errors[0] / errors[1]) < 0.5


@pytest.mark.parametrize("lengths", [(1.0,), (1.0, 1.0, 1.0)], ids=["interval", "box"])
@pytest.mark.parametrize("element", ["P1", "Q2"])
def test_the_slowest_mode_decays_at_its_rate(lengths, element):
    """u = e^(-d π² k t) Π sin(π x_i)."""
    mode = "*".join(f"sin(pi*{a})" for a in "xyz"[: len(lengths)])
    table = {
        "lengths": lengths,
        "cells": 8,
        "element": element,
        "initial": mode,
        "time": {"steps": 100, "final": 0.5},
        "unknown": {"kind": "point-sources", "strength": {"mean": -60.0, "std": 1e-3}},
    }
    problem = Heat(HeatConfig.model_validate(table))
    sensors = problem.sensors("grid:1@0.5")
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    rate = len(lengths) * np.pi**2 * 0.05
    expected = np.exp(-rate * 0.5)
    found = problem.forward_model(sensors)(m)[0]
    assert found == pytest.approx(expected, rel=0.06 if element == "P1" else 1e-4)


@pytest.mark.parametrize("scheme", ["implicit-euler", "crank-nicolson", "bdf2"])
def test_an_insulated_body_keeps_its_heat(scheme):
    walls = {side: {"kind": "flux"} for side in ("left", "right", "bottom", "top")}
    problem = Heat(
        HeatConfig.model_validate(
            {"cells": 6, "boundary": walls, "capacity": "1 + x", "time": {"scheme": scheme}}
        )
    )
    rng = np.random.default_rng(0)
    m = problem.prior().unwhiten(rng.standard_normal(problem.prior().dim))
    model = problem.forward_model(problem.sensors("grid:2"))
    mass = model.discretisation.system.mass
    heat = [float(np.sum(mass @ u)) for _, u in model.states(m)]
    np.testing.assert_allclose(heat, heat[0], rtol=1e-11)


def test_convection_leads_to_the_ambient_temperature():
    sides = ("left", "right", "bottom", "top")
    air = {side: {"kind": "robin", "coefficient": 5.0, "ambient": 300.0} for side in sides}
    table = {"cells": 6, "boundary": air, "conductivity": 1.0, "time": {"final": 20.0, "steps": 40}}
    problem = Heat(HeatConfig.model_validate(table | {"time": {**table["time"], "scheme": "bdf2"}}))
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    np.testing.assert_allclose(problem.forward_model(problem.sensors("grid:3@20"))(m), 300.0)


def test_the_matrices_are_those_of_their_quadrature_rules():
    """K from dolfinx against G^T (ω κ) G, on which the gradient rests."""
    for element in ("P1", "P2", "Q1", "Q2"):
        problem = manufactured(element, cells=3)
        model = problem.forward_model(problem.sensors("grid:2"))
        system = model.discretisation.system
        rule = system.conduction
        kappa = 1 + np.random.default_rng(0).random(len(rule.weights))
        scale = sparse.diags_array(rule.weights * kappa)
        expected = sum(g.T @ (scale @ g) for g in rule.slopes)
        off = system.stiffness_of(kappa) - expected
        assert np.abs(off.toarray()).max() < 1e-12
