"""Derivatives of finite differences of seismic waves: deepwave's adjoint beside Born's waves."""

import numpy as np
import pytest

pytest.importorskip("deepwave")

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.problems.seismic import Seismic, SeismicConfig

SMALL = {"model": "deepwave", "lengths": [240.0, 160.0], "cells": [3, 2], "time": {"final": 0.15},
         "deepwave": {"layer": 5, "accuracy": 4}, "survey": {"source_depth": 30.0}}  # fmt: skip
CASES = {
    "field, free surface": {"boundary": {"top": "free"}},
    "layers and wavelet": {"unknown": {"kind": "layers", "thicknesses": [60.0]},
                           "source": {"amplitude_std": 0.2, "shift_std": 0.01}},
    "wavelet, little memory": {"source": {"amplitude_std": 0.2, "shift_std": 0.01},
                               "time": {"final": 0.15, "memory_mb": 2.5}},
    "cells, little memory": {"unknown": {"kind": "piecewise", "cells": [2, 2]},
                             "time": {"final": 0.15, "memory_mb": 2.5}},
}  # fmt: skip


def setting(case, spec="shots:1,0+receivers:0,3-7/2"):
    problem = Seismic(SeismicConfig.model_validate({**SMALL, **case}))
    return problem, problem.forward_model(problem.sensors(spec))


@pytest.mark.parametrize("case", CASES)
def test_derivatives(case):
    problem, model = setting(CASES[case])
    rng, prior = np.random.default_rng(0), problem.prior()
    whitened = WhitenedModel(prior, model)
    xi = 0.5 * rng.standard_normal(prior.dim)
    assert dot_product_test(whitened, xi, rng) < 1e-10
    assert taylor_test(whitened, xi, rng).slope >= 1.9


def test_parts_that_are_run_again_change_nothing():
    found = []
    for memory in (512.0, 2.5):
        problem, model = setting({"time": {"final": 0.15, "memory_mb": memory}}, "all")
        at = model.linearize(problem.prior().unwhiten(0.3 * np.ones(problem.prior().dim)))
        w = np.sin(np.arange(at.value.size))
        found += [at.value, at.vjp(w), at.vjp(w)]
    np.testing.assert_allclose(found[3], found[0], rtol=1e-12, atol=1e-15)
    for other in (found[2], found[4], found[5]):
        np.testing.assert_allclose(other, found[1], rtol=1e-9)


def test_single_precision_is_near():
    values = []
    for precision in ("float64", "float32"):
        case = {"deepwave": {**SMALL["deepwave"], "precision": precision}}
        problem, model = setting(case, "all")
        at = model.linearize(problem.prior().unwhiten(0.3 * np.ones(problem.prior().dim)))
        values.append((at.value, at.vjp(at.value)))
    for one, other in zip(*values, strict=True):
        assert 0 < np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(one)
