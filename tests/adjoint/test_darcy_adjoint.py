"""Derivatives of the Darcy model and of its posterior, for every unknown and element."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, gradient_test, taylor_test
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.fem import compiled, linear
from pdeinv.problems.darcy import Darcy, DarcyConfig

UNKNOWNS = {
    "kl": {"kind": "log-gaussian", "grid": (17, 17)},
    "fft": {"kind": "log-gaussian", "representation": "fft", "grid": (13, 13), "length": 0.2},
    "spde": {"kind": "log-gaussian", "representation": "spde", "smoothness": 1, "grid": (9, 9)},
    "piecewise": {"kind": "piecewise", "cells": (3, 5), "measure": "linear", "std": 0.5},
    "uniform": {"kind": "uniform", "low": 1.0, "high": 3.0},
    "uniform cells": {"kind": "uniform", "low": 1.0, "high": 3.0, "cells": (2, 2)},
}
BOUNDARY = {
    "left": {"kind": "dirichlet", "value": "1 + y"},
    "top": {"kind": "flux", "value": 0.2},
}


def setting(unknown, element="P1", seed=0):
    problem = Darcy(
        DarcyConfig.model_validate(
            {"cells": 8, "element": element, "unknown": unknown, "boundary": BOUNDARY}
        )
    )
    rng = np.random.default_rng(seed)
    prior, model = problem.prior(), problem.forward_model(problem.sensors("grid:4x3"))
    xi = rng.standard_normal(prior.dim)
    return prior, model, xi, rng


@pytest.mark.parametrize("element", ["P1", "P2", "Q1", "Q2"])
@pytest.mark.parametrize("unknown", UNKNOWNS.values(), ids=list(UNKNOWNS))
def test_tangent_and_adjoint_match_each_other_and_the_model(unknown, element):
    prior, model, xi, rng = setting(unknown, element)
    whitened = WhitenedModel(prior, model)
    for subject, where in ((model, prior.unwhiten(xi)), (whitened, xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        found = taylor_test(subject, where, rng)
        assert not found.linear
        assert found.slope >= 1.9


@pytest.mark.parametrize("unknown", UNKNOWNS.values(), ids=list(UNKNOWNS))
def test_the_gradient_of_the_posterior_is_that_of_its_value(unknown):
    prior, model, xi, rng = setting(unknown)
    data = model(prior.unwhiten(np.zeros(prior.dim)))
    noise = Noise(np.full(len(data), 0.02))
    posterior = Posterior(prior, WhitenedModel(prior, model), data, noise)
    assert gradient_test(posterior, xi, rng).slope >= 1.9
    assert posterior.counters.n_forward == 0


@pytest.mark.parametrize("method", ["mumps", "cg"])
def test_the_other_linear_solvers_pass_too(method, monkeypatch):
    monkeypatch.setattr(compiled, "LIMIT", 0)
    monkeypatch.setattr(linear, "CHOLESKY_LIMITS", {2: ((1, 0),)})
    monkeypatch.setattr(linear, "MUMPS_LIMIT", 0 if method == "cg" else 10**9)
    prior, model, xi, rng = setting(UNKNOWNS["kl"])
    assert model.system.linear.method == method
    assert dot_product_test(model, prior.unwhiten(xi), rng) <= 1e-10
    assert taylor_test(model, prior.unwhiten(xi), rng).slope >= 1.9


def test_an_old_linearisation_stays_right_after_calls_at_other_points():
    prior, model, xi, rng = setting(UNKNOWNS["kl"])
    m = prior.unwhiten(xi)
    at = model.linearize(m)
    dm, w = rng.standard_normal(m.size), rng.standard_normal(model.d_space.size)
    before = at.jvp(dm), at.vjp(w)
    model(2 * m)
    after = at.jvp(dm)
    model(3 * m)
    np.testing.assert_array_equal(after, before[0])
    np.testing.assert_array_equal(at.vjp(w), before[1])
    m[:] = np.nan
    np.testing.assert_array_equal(at.vjp(w), before[1])


def test_the_model_and_its_linearisation_give_the_same_value():
    prior, model, xi, _ = setting(UNKNOWNS["kl"])
    m = prior.unwhiten(xi)
    np.testing.assert_array_equal(model.linearize(m).value, model(m))


def test_a_level_set_says_that_it_has_no_derivative():
    prior, model, xi, rng = setting({"kind": "two-phase", "grid": (17, 17)})
    whitened = WhitenedModel(prior, model)
    with pytest.raises(CapabilityError, match="differentiable unknown"):
        taylor_test(whitened, xi, rng)
    assert dot_product_test(model, prior.unwhiten(xi), rng) <= 1e-10
