"""Derivatives of the Helmholtz models, for every unknown, measurement, truncation and element."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, gradient_test, taylor_test
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig, model

UNKNOWNS = {
    "kl": {"kind": "gaussian", "length": 0.2, "std": 0.3, "grid": (17, 17)},
    "fft": {"kind": "gaussian", "representation": "fft", "grid": (13, 13), "length": 0.2},
    "spde": {"kind": "gaussian", "representation": "spde", "smoothness": 1, "grid": (9, 9)},
    "log-gaussian": {"kind": "log-gaussian", "std": 0.2, "grid": (9, 9)},
    "piecewise": {"kind": "piecewise", "cells": (3, 4), "std": 0.2},
    "uniform": {"kind": "uniform", "high": 0.5},
    "bumps": {"kind": "bumps", "count": 2},
    "inclusions": {"kind": "inclusions", "count": 2, "edge": 0.04},
}
INDEX = {"quantity": "index", "unknown": {"kind": "log-gaussian", "std": 0.2, "grid": (9, 9)}}
WALLS = {"truncation": {"kind": "dirichlet"}}
POINTS = {"incident": {"kind": "point", "count": 3}}
SETTINGS = {
    "far field": ({"measure": "far-field"}, "ring:7"),
    "integrated": ({"receivers": "integrate", "total": True}, "list:0.1,0.1;2,0.4"),
    "index": (INDEX, "ring:5"),
    "impedance, point sources": ({"truncation": {"kind": "impedance"}, **POINTS}, "ring:5:0.4"),
    "two frequencies, total": ({"frequencies": [1.0, 2.0], "total": True}, "ring:5"),
    "traces": ({**WALLS, **INDEX, "measure": "normal-derivative", "total": True}, "boundary:4"),
    "field between walls": ({**WALLS, "frequencies": [1.0]}, "grid:3x3"),
    "source": ({"quantity": "source", "frequencies": [1.0, 2.0]}, "ring:5"),
    "static source": ({"quantity": "source", "wavenumbers": [0.0], **WALLS}, "grid:3x3"),
}


def setting(spec="ring:5", seed=0, **settings):
    waves = {} if "wavenumbers" in settings else {"frequencies": [1.5]}
    problem = Helmholtz(HelmholtzConfig.model_validate({"cells": 6, **waves, **settings}))
    rng = np.random.default_rng(seed)
    prior = problem.prior()
    return prior, problem.forward_model(problem.sensors(spec)), rng.standard_normal(prior.dim), rng


def passes(prior, found, xi, rng):
    whitened = WhitenedModel(prior, found)
    for subject, where in ((found, prior.unwhiten(xi)), (whitened, xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        assert taylor_test(subject, where, rng).slope >= 1.9


@pytest.mark.parametrize("unknown", UNKNOWNS.values(), ids=list(UNKNOWNS))
def test_tangent_and_adjoint_of_every_unknown(unknown):
    passes(*setting(unknown=unknown))


@pytest.mark.parametrize(("settings", "spec"), SETTINGS.values(), ids=list(SETTINGS))
def test_tangent_and_adjoint_of_every_measurement(settings, spec):
    passes(*setting(spec, **settings))


@pytest.mark.parametrize("element", [f"{s}{p}" for s in "PQ" for p in (1, 2, 3, 4)])
def test_tangent_and_adjoint_of_every_element(element):
    cells = {"1": 16, "2": 8, "3": 4, "4": 4}[element[1]]
    passes(*setting(element=element, cells=cells, frequencies=[1.0]))


def test_the_gradient_of_the_posterior_is_that_of_its_value():
    prior, found, xi, rng = setting()
    data = found(prior.unwhiten(np.zeros(prior.dim)))
    noise = Noise(np.full(len(data), 0.02))
    posterior = Posterior(prior, WhitenedModel(prior, found), data + 0.02, noise)
    assert gradient_test(posterior, xi, rng).slope >= 1.9


def test_a_source_is_linear():
    prior, found, xi, rng = setting("grid:3x3", **SETTINGS["static source"][0])
    assert taylor_test(WhitenedModel(prior, found), xi, rng).linear


def test_an_old_linearisation_stays_right_after_calls_at_other_points():
    prior, found, xi, rng = setting(measure="far-field")
    m = prior.unwhiten(xi)
    at = found.linearize(m)
    np.testing.assert_array_equal(at.value, found(m))
    dm, w = rng.standard_normal(m.size), rng.standard_normal(found.d_space.size)
    before = at.jvp(dm), at.vjp(w)
    found(2 * m)
    np.testing.assert_array_equal(at.jvp(dm), before[0])
    found(0.5 * m)
    m[:] = np.nan
    np.testing.assert_array_equal(at.vjp(w), before[1])


@pytest.mark.parametrize("fault", ["no direct part", "conjugate"])
def test_a_wrong_adjoint_is_noticed(fault, monkeypatch):
    prior, found, xi, rng = setting(measure="far-field")
    if fault == "conjugate":
        put = model.Rows.put
        monkeypatch.setattr(model.Rows, "put", lambda self, w: np.conj(put(self, w)))
    else:
        kind = type(found.bands[0].detector)
        monkeypatch.setattr(kind, "direct", lambda *_: 0.0)
    assert dot_product_test(found, prior.unwhiten(xi), rng) > 1e-3


def test_phases_have_no_derivative_and_say_so():
    prior, found, xi, rng = setting(unknown={"kind": "two-phase", "low": 0.0, "high": 0.5})
    assert dot_product_test(found, prior.unwhiten(xi), rng) <= 1e-10
    with pytest.raises(CapabilityError, match="differentiable unknown"):
        taylor_test(WhitenedModel(prior, found), xi, rng)
