"""The initial state is linear in the data: every engine against the exact Gaussian posterior."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.engines.gaussian.exact import Gaussian, GaussianConfig, exact_posterior
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import LinearModel
from pdeinv.plugins import registry
from pdeinv.problems.heat import Heat, HeatConfig

PRIOR = {"kind": "gaussian", "length": 0.4, "mean": 0.5, "modes": 5, "grid": (9, 9)}


def problem(unknown=None):
    return Heat(
        HeatConfig.model_validate(
            {
                "cells": 8,
                "source": "sin(t)",
                "boundary": {"left": {"kind": "dirichlet", "value": "t"}, "top": {"kind": "flux"}},
                "time": {"steps": 8},
                "unknown": unknown or {"kind": "initial-state", "prior": PRIOR},
            }
        )
    )


def posterior(heat, relative=0.1):
    """Data of a prior draw on a finer mesh, so that model and data differ as they do in life."""
    prior, sensors = heat.prior(), heat.sensors("grid:3@0.1:0.9:3")
    rng = np.random.default_rng(3)
    m = prior.unwhiten(rng.standard_normal(prior.dim))
    clean = heat.forward_model(sensors, level=1)(m)
    noise = Noise(np.full(clean.size, relative * np.abs(clean).max()))
    model = WhitenedModel(prior, heat.forward_model(sensors))
    return Posterior(prior, model, clean + noise.sample(rng), noise)


@pytest.fixture(scope="module", name="on")
def _on():
    return posterior(problem())


@pytest.fixture(scope="module", name="dense")
def _dense(on):
    """The same posterior with the matrix of the heat model, column by column: a thousand times
    faster, so that samplers can be held to small errors."""
    model, prior = on.model.model, on.prior
    zero = model(np.zeros(prior.space.size))
    matrix = np.stack([model(e) - zero for e in np.eye(prior.space.size)], axis=1)
    linear = LinearModel(model.m_space, model.d_space, matrix, zero)
    return replace(on, model=WhitenedModel(prior, linear), counters=Counters())


@pytest.fixture(scope="module", name="exact")
def _exact(dense):
    """Mean and covariance of m by the textbook formula."""
    linear, prior = dense.model.model, dense.prior
    covariance = prior.field.root @ prior.field.root.T
    residual = dense.data - linear.offset
    case = LinearGaussian(linear.matrix, prior.field.mean, covariance, dense.noise, residual)
    return case.exact()


def test_the_matrix_is_the_heat_model(on, dense):
    xi = np.random.default_rng(5).standard_normal((4, on.dim))
    np.testing.assert_allclose(dense.predict(xi), on.predict(xi), atol=1e-12)


def drawn(on, name, folder, **options):
    kind = registry.load("engines", name)
    return run(kind(kind.Config(**options)), lambda: on, Run(1, folder)).outcome


def test_the_gaussian_engine_is_the_textbook_formula(on, exact, tmp_path):
    mean, covariance = exact
    found = drawn(on, "gaussian", tmp_path)
    at = on.model.linearize(np.zeros(on.dim))
    jacobian = np.stack([at.jvp(e) for e in np.eye(on.dim)], axis=1)
    law = exact_posterior(jacobian, on.data - at.value, on.noise)
    root = on.prior.field.root
    np.testing.assert_allclose(on.prior.unwhiten(law.mean), mean, atol=1e-10)
    spread = root @ law.covariance(np.eye(on.dim)) @ root.T
    np.testing.assert_allclose(spread, covariance, atol=1e-10)
    xi = found.xi.reshape(-1, on.dim)
    z = (xi.mean(axis=0) - law.mean) / np.sqrt(law.variance / len(xi))
    assert np.abs(z).max() < 4
    assert found.converged
    np.testing.assert_allclose(found.stats["misfit"][0, :5], on.misfit(found.xi[0, :5]))


def test_rows_by_adjoints_and_columns_by_tangents_are_the_same_posterior(on, tmp_path):
    """With fewer data than unknowns the Jacobian comes row by row."""
    few = posterior(problem())
    sensors = problem().sensors("list:0.3,0.4@0.2,0.5")
    model = WhitenedModel(few.prior, problem().forward_model(sensors))
    few = Posterior(few.prior, model, np.array([0.4, 0.6]), Noise(np.full(2, 0.05)))
    found = drawn(few, "gaussian", tmp_path)
    assert few.counters.n_tangent == 0
    at = few.model.linearize(np.zeros(few.dim))
    jacobian = np.stack([at.jvp(e) for e in np.eye(few.dim)], axis=1)
    law = exact_posterior(jacobian, few.data - at.value, few.noise)
    np.testing.assert_allclose(found.groups["gaussian"]["xi_mean"], law.mean, atol=1e-12)


def test_the_evidence_is_that_of_the_marginal_gaussian(on, tmp_path):
    at = on.model.linearize(np.zeros(on.dim))
    jacobian = np.stack([at.jvp(e) for e in np.eye(on.dim)], axis=1)
    marginal = jacobian @ jacobian.T + np.diag(on.noise.std**2)
    r = on.data - at.value
    _, logdet = np.linalg.slogdet(2 * np.pi * marginal)
    expected = -0.5 * (r @ np.linalg.solve(marginal, r) + logdet)
    found = drawn(on, "gaussian", tmp_path).summary["log_evidence"]
    assert found == pytest.approx(expected, rel=1e-10)


def check_moments(found, on, exact, error, spread):
    """Means within ``error`` posterior deviations, variances within a share ``spread``."""
    mean, covariance = exact
    m = on.prior.unwhiten(found.xi.reshape(-1, on.dim))
    deviation = np.sqrt(np.diag(covariance))
    off = np.abs(m.mean(axis=0) - mean) / np.maximum(deviation, 1e-3 * deviation.max())
    assert off.max() < error
    share = m.var(axis=0) / np.maximum(np.diag(covariance), 1e-6 * deviation.max() ** 2)
    assert np.abs(share - 1).max() < spread


def test_laplace_finds_it(on, exact, tmp_path):
    """4000 independent draws: 4 standard errors are 0.063 in the mean, 9 % in the variance."""
    check_moments(drawn(on, "laplace", tmp_path, draws=4000), on, exact, 0.065, 0.09)


def test_pcn_finds_it(on, dense, exact, tmp_path):
    """Within 4 Monte Carlo standard errors of each component, as the chains tell them."""
    found = drawn(dense, "pcn", tmp_path, chains=4, draws=15000, warmup=1000)
    at = on.model.linearize(np.zeros(on.dim))
    jacobian = np.stack([at.jvp(e) for e in np.eye(on.dim)], axis=1)
    law = exact_posterior(jacobian, on.data - at.value, on.noise)
    z = (found.xi.mean(axis=(0, 1)) - law.mean) / summary(found.xi).mcse
    assert np.abs(z).max() < 4
    check_moments(found, on, exact, 0.15, 0.15)


def test_a_large_ensemble_finds_it(on, dense, exact, tmp_path):
    """2000 members, tempered in steps: 4 standard errors and the update's own error."""
    found = drawn(dense, "eki", tmp_path, ensemble_size=2000)
    check_moments(found, on, exact, 0.2, 0.25)


def test_a_model_that_is_a_little_off_is_caught(on, exact, tmp_path):
    """Negative control: ρc 10 % too large moves the posterior beyond these bounds."""
    wrong = Heat(problem().config.model_copy(update={"capacity": 1.1}))
    model = WhitenedModel(on.prior, wrong.forward_model(wrong.sensors("grid:3@0.1:0.9:3")))
    found = drawn(replace(on, model=model), "laplace", tmp_path, draws=4000)
    with pytest.raises(AssertionError):
        check_moments(found, on, exact, 0.065, 0.09)


@pytest.mark.parametrize(
    "unknown",
    [
        {"kind": "conductivity"},
        {"kind": "point-sources"},
        {"kind": "initial-state", "prior": {"kind": "log-gaussian", "grid": (9, 9), "modes": 4}},
    ],
    ids=["conductivity", "point sources", "log-gaussian"],
)
def test_what_is_not_linear_is_refused(unknown, tmp_path):
    heat = problem(unknown)
    prior, sensors = heat.prior(), heat.sensors("grid:2")
    model = WhitenedModel(prior, heat.forward_model(sensors))
    n = len(sensors["t"])
    curved = Posterior(prior, model, np.ones(n), Noise(np.ones(n)))
    engine = Gaussian(GaussianConfig())
    with pytest.raises(CapabilityError, match=r"linear in a Gaussian unknown.*use laplace, pcn"):
        run(engine, lambda: curved, Run(0, tmp_path))
