"""Derivatives of the seismic model: every unknown and boundary, all states kept or run again."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.problems.seismic import Seismic, SeismicConfig

SMALL = {"cells": [6, 4], "degree": 5, "lengths": [480.0, 320.0],
         "boundary": {"width": 160.0}, "time": {"final": 0.3}}  # fmt: skip
CASES = {
    "field": {},
    "free surface": {"boundary": {"width": 160.0, "top": "free"}},
    "no layer": {"boundary": {"width": 0.0}},
    "bounded": {"unknown": {"kind": "bounded", "low": 2000.0, "high": 3500.0}},
    "deepening": {
        "unknown": {"kind": "bounded", "low": 2000.0, "high": 3500.0, "std": 0.8, "top_std": 0.1}
    },
    "cells": {"unknown": {"kind": "piecewise", "cells": [3, 4]}},
    "uniform": {"unknown": {"kind": "uniform", "low": 2000.0, "high": 3000.0}},
    "layers": {"unknown": {"kind": "layers", "thicknesses": [90.0, 70.0],
                           "velocities": [2000.0, 2900.0, 2400.0]}},
    "wavelet": {"source": {"amplitude_std": 0.2, "shift_std": 0.01}},
    "free wavelet": {"source": {"wavelet_std": 0.3}},
    "shift and layers": {"source": {"shift_std": 0.01}, "unknown": {"kind": "layers"}},
    "little memory": {"time": {"final": 0.3, "memory_mb": 2.5}},
    "blended phases": {"unknown": {"kind": "two-phase", "low": 2000.0, "high": 3000.0,
                                   "tau": 0.01, "grid": [9, 9], "blend": 0.3}},
}  # fmt: skip


def setting(case, spec="shots:1,0+receivers:0,3-7/2"):
    problem = Seismic(SeismicConfig.model_validate({**SMALL, **CASES[case]}))
    return problem, problem.forward_model(problem.sensors(spec))


@pytest.mark.parametrize("case", CASES)
def test_derivatives(case):
    problem, model = setting(case)
    rng, prior = np.random.default_rng(0), problem.prior()
    whitened = WhitenedModel(prior, model)
    xi = 0.5 * rng.standard_normal(prior.dim)
    assert dot_product_test(whitened, xi, rng) < 1e-10
    assert taylor_test(whitened, xi, rng).slope >= 1.9


def test_parts_that_are_run_again_change_nothing():
    gradients, memory = [], []
    for case in ("field", "little memory"):
        problem, model = setting(case, "all")
        m = problem.prior().unwhiten(0.3 * np.ones(problem.prior().dim))
        at = model.linearize(m)
        w = np.sin(np.arange(at.value.size))
        for _ in range(2):  # the second one begins where the first one ended
            gradients.append(at.vjp(w))
        memory.append(problem.memory_estimate())
    for other in gradients[1:]:
        np.testing.assert_allclose(other, gradients[0], rtol=1e-12)
    assert memory[1] < 0.5 * memory[0]


def test_shots_that_are_no_data_are_not_run():
    problem, model = setting("field", "shots:1+receivers:2,5@0.1:0.25:4")
    _, whole = setting("field", "all")
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    table = whole(m).reshape(2, 8, 60)
    times = [20 - 1, 30 - 1, 40 - 1, 50 - 1]
    np.testing.assert_allclose(model(m), table[1][[2, 5]][:, times].ravel(), rtol=1e-10, atol=1e-14)
    assert model(m).shape == (8,)
