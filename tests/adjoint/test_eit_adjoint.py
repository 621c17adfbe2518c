"""Derivatives of the impedance tomography model: every unknown, measurement, body, element."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, gradient_test, taylor_test
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.problems.eit import Eit, EitConfig

UNKNOWNS = {
    "kl": {"kind": "log-gaussian", "std": 0.5, "grid": (13, 13)},
    "fft": {"kind": "log-gaussian", "representation": "fft", "std": 0.5, "grid": (13, 13)},
    "spde": {"kind": "log-gaussian", "representation": "spde", "smoothness": 1, "std": 0.5},
    "piecewise": {"kind": "piecewise", "cells": (4, 3), "std": 0.5},
    "elements": {"kind": "elements"},
    "uniform": {"kind": "uniform", "low": 0.5, "high": 2.0},
    "ellipses": {"kind": "ellipses", "count": 2},
    "heart and lungs": {"kind": "heart-and-lungs"},
}
CELLS = {"unknown": {"kind": "piecewise", "cells": (4, 4), "std": 0.5}}
CUBES = {"unknown": {"kind": "piecewise", "cells": (2, 2, 2), "std": 0.5}}
EPSILON = {"kind": "log-gaussian", "mean": -13.5, "std": 0.3, "length": 0.5, "grid": (9, 9)}
LOOSE = {"count": 8, "cells": 2, "impedance": 0.1, "impedance_std": 0.5}
CAPACITIVE = {"frequency": 1e5, "permittivity": {"kind": "constant", "value": 1e-6}}
FEW = {"count": 4, "cells": 1, "impedance_std": 0.3}
SETTINGS = {
    "impedances": {**CELLS, "electrodes": LOOSE},
    "P2": {**CELLS, "element": "P2", "cells": 6},
    "permittivity": {**CELLS, "frequency": 1e5, "permittivity": EPSILON},
    "complex, impedances, difference": {
        **CELLS, **CAPACITIVE, "electrodes": LOOSE, "difference": True,
    },
    "trigonometric on a thorax": {
        **CELLS,
        "domain": {"kind": "thorax"},
        "drive": {"pattern": {"kind": "trigonometric"}},
        "measure": {"pattern": {"kind": "single"}},
    },
    "cylinder": {
        **CUBES, "cells": 6, "electrodes": FEW, "domain": {"kind": "disc", "depth": 1.0},
        "measure": {"include_driven": True},
    },
    "box, P2": {
        **CUBES, "cells": 3, "element": "P2", "electrodes": FEW, "thickness": 1.0,
        "domain": {"kind": "rectangle", "depth": 1.0},
    },
    "Dirichlet to Neumann": {**CELLS, "model": "continuum", "modes": 3},
    "Neumann to Dirichlet, complex": {
        **CELLS, **CAPACITIVE, "model": "continuum", "modes": 3, "map": "neumann-to-dirichlet",
    },
}  # fmt: skip


def setting(seed=0, **settings):
    table = {"cells": 8, "electrodes": {"count": 8, "cells": 2}, **settings}
    problem = Eit(EitConfig.model_validate(table))
    rng, prior = np.random.default_rng(seed), problem.prior()
    found = problem.forward_model(problem.sensors("all"))
    return prior, found, 0.5 * rng.standard_normal(prior.dim), rng


def passes(prior, found, xi, rng):
    whitened, m = WhitenedModel(prior, found), prior.unwhiten(xi)
    for subject, where in ((found, m), (whitened, xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        assert taylor_test(subject, where, rng).slope >= 1.9
    direction = rng.standard_normal(m.size)
    slope = found.linearize(m).jvp(direction)
    tol = 1e-10 * np.abs(slope).max()
    np.testing.assert_allclose(found.jacobian(m) @ direction, slope, rtol=0, atol=tol)


@pytest.mark.parametrize("unknown", UNKNOWNS.values(), ids=list(UNKNOWNS))
def test_tangent_adjoint_and_jacobian_of_every_unknown(unknown):
    passes(*setting(unknown=unknown))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_tangent_adjoint_and_jacobian_of_every_measurement(settings):
    passes(*setting(**settings))


def test_the_gradient_of_the_posterior_is_that_of_its_value():
    prior, found, xi, rng = setting(**SETTINGS["complex, impedances, difference"])
    data = found(prior.unwhiten(np.zeros(prior.dim)))
    std = 0.01 * np.abs(data).max()
    noise = Noise(np.full(len(data), std))
    posterior = Posterior(prior, WhitenedModel(prior, found), data + std, noise)
    assert gradient_test(posterior, xi, rng).slope >= 1.9


def test_an_old_linearisation_stays_right_after_calls_at_other_points():
    prior, found, xi, rng = setting(**SETTINGS["impedances"])
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


def test_a_derivative_without_the_shunt_of_the_electrodes_is_noticed(monkeypatch):
    prior, found, xi, rng = setting(**SETTINGS["impedances"])
    respond = found._body.respond

    def wrong(gamma, z):
        r = respond(gamma, z)
        return type(r)(r.value, r.fields, r.sign, 0 * r.contacts)

    monkeypatch.setattr(found._body, "respond", wrong)
    assert taylor_test(found, prior.unwhiten(xi), rng).slope < 1.5


def test_a_wrong_sign_of_the_adjoint_is_noticed(monkeypatch):
    prior, found, xi, rng = setting(**SETTINGS["permittivity"])
    put = type(found.picked).put
    monkeypatch.setattr(type(found.picked), "put", lambda *args: np.conj(put(*args)))
    assert dot_product_test(found, prior.unwhiten(xi), rng) > 1e-3


@pytest.mark.parametrize("kind", ["two-phase", "level-set"])
def test_phases_have_no_derivative_and_say_so(kind):
    values = {"values": (0.5, 1.0, 3.0)} if kind == "level-set" else {"low": 1.0, "high": 3.0}
    prior, found, xi, rng = setting(unknown={"kind": kind, "grid": (17, 17), **values})
    assert dot_product_test(found, prior.unwhiten(xi), rng) <= 1e-10
    with pytest.raises(CapabilityError, match="differentiable unknown"):
        taylor_test(WhitenedModel(prior, found), xi, rng)
