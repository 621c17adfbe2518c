"""Derivatives of flames of five species: every unknown, every quantity, several inlets."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.problems.flame.species import FlameSpecies, SpeciesConfig
from pdeinv.problems.flame.species.parameters import COUNTERFLOW, FREE, NAMES, Parameters

YS = "Y_O2,Y_H2O,Y_CH4,Y_CO2,Y_N2"
SPECS = {"free": f"grid:7@T,u,{YS}+speed:0.8,0.9", "counterflow": f"grid:12@T,u,V,{YS}"}
OWN = {
    "free": [name for name in NAMES if name not in COUNTERFLOW],
    "counterflow": [name for name in NAMES if name not in FREE],
}
CASES = [
    pytest.param(kind, (name,), marks=[pytest.mark.slow] * (kind == "counterflow"))
    for kind, names in OWN.items()
    for name in names
]
CASES += [pytest.param(kind, tuple(names)) for kind, names in OWN.items()]


def problem_of(kind, names, **more):
    known = Parameters()
    unknown = {n: {"kind": "log-normal", "median": getattr(known, n), "std": 0.02} for n in names}
    table = {"configuration": kind, "slope": 0.1, "curve": 0.2, "unknown": unknown, **more}
    return FlameSpecies(SpeciesConfig.model_validate(table))


def spec_of(kind, names):
    """Of one inlet where its equivalence ratio is sought."""
    return SPECS[kind].replace(":0.8,0.9", "") if "equivalence_ratio" in names else SPECS[kind]


@pytest.mark.parametrize(("kind", "names"), CASES)
def test_derivatives_are_those_of_the_scheme(kind, names):
    problem = problem_of(kind, names)
    model, prior = problem.forward_model(problem.sensors(spec_of(kind, names))), problem.prior()
    rng = np.random.default_rng(1)
    m = prior.unwhiten(0.5 * rng.standard_normal(prior.dim))
    assert dot_product_test(model, m, rng) <= 1e-10
    assert taylor_test(model, m, rng).slope >= 1.9


@pytest.mark.parametrize("kind", SPECS)
def test_the_tangent_is_the_quotient_of_differences(kind):
    names = ("pre_exponential", "activation_energy", "diffusivity_scale")
    problem = problem_of(kind, names)
    model = problem.forward_model(problem.sensors(SPECS[kind]))
    m = problem.prior().unwhiten(np.zeros(3))
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-5 * m[k]
        quotient = (model(m + step) - model(m - step)) / 2
        np.testing.assert_allclose(model.linearize(m).jvp(step), quotient, rtol=1e-3, atol=1e-9)
