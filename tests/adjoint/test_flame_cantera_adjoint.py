"""Derivatives of flames with detailed chemistry: every unknown, quantity and configuration."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.config import parse
from pdeinv.problems.flame.detailed import DetailedConfig, FlameCantera
from pdeinv.problems.flame.detailed.solver import Solver

RATES = {
    "H + O2 <=> O + OH": {"log_a": {"std": 0.1}, "b": {"std": 0.02}, "ea": {"std": 300.0}},
    "2 OH (+M) <=> H2O2 (+M)": {"log_a": {"std": 0.1}, "b": {"std": 0.1}, "ea": {"std": 1000.0}},
    "2 HO2 <=> H2O2 + O2": {"log_a": {"std": 0.1}},
}
INLET = {
    "equivalence_ratio": {"kind": "uniform", "low": 0.9, "high": 1.1},
    "pressure": {"kind": "log-normal", "median": 101325.0, "std": 0.02},
    "inlet_temperature": {"kind": "normal", "mean": 298.0, "std": 3.0},
}
STEPS = {"x": [0.0, 0.002, 0.03], "T": [300.0, 1600.0, 1800.0]}
CASES = {
    "free": ({}, "grid:5@T,u,X_OH,Y_H2O+speed"),
    "from elsewhere": (
        {"offset": {"kind": "normal", "mean": 0.002, "std": 2e-4}},
        "grid:9@T,u,X_OH+speed",
    ),
    "multicomponent": ({"transport": "multicomponent", "soret": True}, "speed"),
    "burner": ({"configuration": "burner"}, "grid:5@T,u,X_OH"),
    "imposed": ({"configuration": "burner", "temperatures": STEPS}, "grid:5@X_OH,X_H2"),
    "counterflow": (
        {"configuration": "counterflow", "length": 0.02, "mass_flux": 1.0},
        "grid:5@T,u",
    ),
    "diffusion": ({"configuration": "diffusion", "length": 0.02}, "grid:5@T,X_OH"),
}


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_scheme(case):
    table, spec = CASES[case]
    known = {k: v for k, v in table.items() if k != "offset"}
    inlet = {k: v for k, v in INLET.items() if case != "diffusion" or k != "equivalence_ratio"}
    sought = {"rates": RATES, **inlet, **{k: v for k, v in table.items() if k == "offset"}}
    config = parse(DetailedConfig, {**known, "unknown": sought}, "problem")
    problem = FlameCantera(config)
    model, prior = problem.forward_model(problem.sensors(spec)), problem.prior()
    rng = np.random.default_rng(1)
    subject, xi = WhitenedModel(prior, model), 0.5 * rng.standard_normal(prior.dim)
    assert dot_product_test(subject, xi, rng) <= 1e-10
    assert taylor_test(subject, xi, rng).slope >= 1.9


def test_sensitivities_are_cantera_s_own_and_the_quotients_of_differences():
    problem = FlameCantera()
    found = problem.solve(np.zeros(2), 0)
    solver, at = Solver.of(problem.config, 0), problem.config.inlet
    stack, base = solver.stack(at, np.zeros(2)), solver.base(at)
    stack.put(base.state)
    stack.pin(float(base.state[1, base.pinned]))
    theirs = stack.flame.get_flame_speed_reaction_sensitivities()
    own = found["sensitivity"].values
    # Cantera's adjoint takes its matrix from differences and does not refine
    np.testing.assert_allclose(own, theirs, atol=0.02 * np.abs(own).max())
    model, step = problem.forward_model(problem.sensors("speed")), 1e-4
    for k, i in enumerate((10, 20)):
        ends = [np.log(model(sign * step * np.eye(2)[k])[0]) for sign in (1.0, -1.0)]
        quotient = (ends[0] - ends[1]) / (2 * step) / np.log(10.0)
        assert own[i] == pytest.approx(quotient, rel=1e-6)


@pytest.mark.parametrize("where", ["free", "diffusion"])
def test_each_tangent_is_the_quotient_of_differences(where):
    table, spec = CASES[where]
    rates = {"10": RATES["H + O2 <=> O + OH"], "21": RATES["2 OH (+M) <=> H2O2 (+M)"]}
    config = parse(DetailedConfig, {**table, "unknown": {"rates": rates}}, "problem")
    problem = FlameCantera(config)
    model, m = problem.forward_model(problem.sensors(spec)), np.array([0.1, 0.0, 300.0, 0, 0, 0])
    for k, step in enumerate([1e-4, 1e-4, 1.0] * 2):
        dm = step * np.eye(6)[k]
        quotient, tangent = (model(m + dm) - model(m - dm)) / 2, model.linearize(m).jvp(dm)
        np.testing.assert_allclose(tangent, quotient, atol=2e-5 * np.abs(quotient).max())
