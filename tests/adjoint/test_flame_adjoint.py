"""Derivatives of the flame model: every unknown, every quantity, several states of the inlet."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.problems.flame import Flame, FlameConfig
from pdeinv.problems.flame.chemistry import NAMES, Parameters

ALL = "grid:7@T,u,Y+speed"
SEVERAL = "grid:5@T,u,Y+speed:0.4,0.44,0.48"
CASES = {
    "default": ({}, ALL),
    "several": ({}, SEVERAL),
    "even cells": ({"grading": 0.0, "cells": 120}, "grid:9"),
    "speeds alone": ({}, "speed:0.4,0.45,0.5"),
}


def sought(*names):
    known = Parameters()
    return {"unknown": {
        n: {"kind": "log-normal", "median": getattr(known, n), "std": 0.05} for n in names
    }}  # fmt: skip


CASES |= {name: (sought(name), ALL) for name in NAMES} | {"all": (sought(*NAMES), ALL)}


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_scheme(case):
    table, spec = CASES[case]
    problem = Flame(FlameConfig.model_validate(table))
    model, prior = problem.forward_model(problem.sensors(spec)), problem.prior()
    rng = np.random.default_rng(1)
    xi = 0.5 * rng.standard_normal(prior.dim)
    for subject, where in ((model, prior.unwhiten(xi)), (WhitenedModel(prior, model), xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        assert taylor_test(subject, where, rng).slope >= 1.9


def test_the_tangent_is_the_quotient_of_differences():
    problem = Flame()
    model, m = problem.forward_model(problem.sensors(ALL)), problem.prior().unwhiten(np.zeros(2))
    for k in range(2):
        step = np.zeros(2)
        step[k] = 1e-5 * m[k]
        quotient = (model(m + step) - model(m - step)) / 2
        np.testing.assert_allclose(model.linearize(m).jvp(step), quotient, rtol=2e-5, atol=1e-12)
