"""Engines on data of 0 and 1, against the posterior by quadrature."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from masked_tumor import masked

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.links import LINKS
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins import registry

N = 60
TRUTH = np.array([0.8, -1.1])
AXIS = np.linspace(-4, 4, 161)
SPACE, DATA = Space((Variable("m", ("k",), (2,)),)), Space((Variable("z", ("i",), (N,)),))
PRIOR = FieldPrior(SPACE, IndependentField(np.zeros(2), np.ones(2)), Identity())


def posterior(link="logit", seed=0):
    """Regression of 0 and 1 on two regressors."""
    rng = np.random.default_rng(seed)
    matrix = 1.5 * rng.standard_normal((N, 2))
    law, model = Bernoulli(N, link), LinearModel(SPACE, DATA, matrix, np.zeros(N))
    y = law.draw((matrix @ TRUTH)[None], rng)[0]
    twin = LinearModel(SPACE, DATA, 1.05 * matrix, np.zeros(N))
    coarse = Posterior(PRIOR, WhitenedModel(PRIOR, twin), y, law)
    return Posterior(PRIOR, WhitenedModel(PRIOR, model), y, law, coarse)


@cache
def exact(link):
    """Mean and covariance by quadrature."""
    on = posterior(link)
    xi = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)
    height = -on.neg_log_posterior(xi)
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    mean = weight @ xi
    return mean, (xi - mean).T @ ((xi - mean) * weight[:, None])


def found(engine, folder, on, **options):
    kind = registry.load("engines", engine)
    return run(kind(kind.Config(**options)), lambda: on, Run(3, folder)).outcome


SAMPLERS = {
    "pcn": {"draws": 12_000, "warmup": 1000, "chains": 4},
    "hmc": {"draws": 800, "warmup": 200, "chains": 4},
    "emcee": {"draws": 1200, "warmup": 300},
    "two-level": {"draws": 700, "warmup": 100, "chains": 4},
}


@pytest.mark.parametrize("engine", SAMPLERS)
def test_samplers_find_the_posterior_of_zeros_and_ones(engine, tmp_path):
    outcome = found(engine, tmp_path, posterior(), **SAMPLERS[engine])
    mean, covariance = exact("logit")
    draws, sd = outcome.xi.reshape(-1, 2), np.sqrt(np.diag(covariance))
    assert outcome.converged
    assert (np.abs(draws.mean(axis=0) - mean) < 0.12 * sd).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, rtol=0.2, atol=0.1 * sd.min() ** 2)


def test_the_links_have_different_posteriors():
    (a, spread), (b, _) = exact("logit"), exact("threshold")
    assert (np.abs(a - b) > 0.5 * np.sqrt(np.diag(spread))).any()  # more than samplers may be off


def test_laplace_is_close_and_map_at_the_highest_point(tmp_path):
    mean, covariance = exact("logit")
    gaussian = found("laplace", tmp_path / "laplace", posterior(), draws=4000)
    sd = np.sqrt(np.diag(covariance))
    assert gaussian.converged
    assert (np.abs(gaussian.xi[0].mean(axis=0) - mean) < 0.5 * sd).all()
    assert (np.abs(gaussian.xi[0].std(axis=0) / sd - 1) < 0.25).all()
    best = found("map", tmp_path / "map", posterior()).xi[0, 0]
    heights = posterior().neg_log_posterior(best + 1e-3 * np.vstack([np.eye(2), -np.eye(2)]))
    assert (heights > posterior().neg_log_posterior(best)).all()


def test_data_that_no_unknown_explains_are_not_converged(tmp_path):
    on = posterior()
    certain = LinearModel(SPACE, DATA, on.model.model.matrix, np.full(N, 8.0))  # says all are 1
    odd = replace(on, model=WhitenedModel(PRIOR, certain), data=np.tile([0.0, 1.0], N // 2))
    outcome = found("map", tmp_path, replace(odd, coarse=None))
    assert not outcome.converged
    assert "where noise makes at most" in outcome.message


def test_an_ensemble_is_close_and_takes_no_discrepancy(tmp_path):
    outcome = found("eki", tmp_path, posterior(), ensemble_size=500)
    mean, covariance = exact("logit")
    draws, sd = outcome.xi.reshape(-1, 2), np.sqrt(np.diag(covariance))
    assert outcome.converged
    assert (np.abs(draws.mean(axis=0) - mean) < 0.3 * sd).all()
    assert (np.abs(draws.std(axis=0) / sd - 1) < 0.25).all()
    assert outcome.summary["effective_share"] > 0.3
    with pytest.raises(ConfigError, match="'discrepancy' is a rule about additive noise"):
        found("eki", tmp_path / "other", posterior(), until="discrepancy")


def test_an_ensemble_finds_the_masks_of_a_tumor(tmp_path):
    on = masked("line", 4)
    best = drive(on, find_map(on, np.random.default_rng(0)))
    outcome = found("eki", tmp_path, on, ensemble_size=200)
    draws = outcome.xi.reshape(-1, on.dim)
    assert (np.abs(draws.mean(axis=0) - best) < draws.std(axis=0)).all()
    # moments of masks are not their likelihood, and the weights of the members say so
    assert not outcome.converged
    assert "of the members count (25 % wanted)" in outcome.message
    assert outcome.summary["effective_share"] < 0.1
    # of one update over the whole way they would not
    assert outcome.summary["iterations"] > 4


def test_moments_are_those_of_the_data():
    law, z = Bernoulli(3, "logit", 0.5), np.array([[0.5, -0.8, 30.0], [1.0, -0.2, 30.0]])
    seen = law.moments(z)
    data = np.random.default_rng(0).random((40_000, 2, 3)) < seen.mean
    np.testing.assert_allclose(seen.mean, LINKS["logit"].probability(z))
    variance = np.maximum(data.var(axis=0).mean(axis=0), 0.0099) / 0.5
    np.testing.assert_allclose(seen.noise.whiten(np.ones(3)) ** -2.0, variance, rtol=0.02)
    assert seen.count == pytest.approx(0.5 * 4 * data.var(axis=0).mean(axis=0).sum(), rel=0.02)


def test_the_search_suits_the_data():
    """Both methods end at the minimum; about zeros and ones the default is the cheaper one."""
    ends = {}
    for method in (None, "newton-cg", "lbfgs"):
        on, config = masked("line", 4), OptimizerConfig(method=method)
        xi = drive(on, find_map(on, np.random.default_rng(0), config))
        spent = on.counters
        ends[method] = xi, spent.n_forward + 2 * (spent.n_adjoint + spent.n_tangent)
    np.testing.assert_allclose(ends["newton-cg"][0], ends["lbfgs"][0], atol=1e-3)
    np.testing.assert_array_equal(ends[None][0], ends["lbfgs"][0])
    assert ends[None][1] < 0.6 * ends["newton-cg"][1]


@pytest.mark.parametrize("engine", ["gaussian", "gauss-newton"])
def test_engines_of_additive_noise_refuse(engine, tmp_path):
    with pytest.raises(CapabilityError, match="takes data whose likelihood is of kind 'gaussian'"):
        found(engine, tmp_path, posterior())


def test_the_model_of_the_threshold_link_is_sampled_too(tmp_path):
    outcome = found("pcn", tmp_path, posterior("threshold"), **SAMPLERS["pcn"])
    mean, covariance = exact("threshold")
    off = outcome.xi.reshape(-1, 2).mean(axis=0) - mean
    assert (np.abs(off) < 0.12 * np.sqrt(np.diag(covariance))).all()
