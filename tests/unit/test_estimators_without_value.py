"""Estimates that the draws do not determine have no value; they never end a run in an error."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.diagnostics import autocorrelation
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.config import parse
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.mcmc.emcee import Emcee, EmceeConfig
from pdeinv.engines.mcmc.estimators import Pairs, average, plain, replicated, split
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import ConfigError
from pdeinv.plugins import registry

BASE = np.zeros(2)


def pairs(delta):
    delta = np.asarray(delta, dtype=float)
    q = np.arange(2.0 * len(delta)).reshape(len(delta), 2)
    return Pairs(q, 1.0 + delta, np.ones(len(delta)))


GOOD, FAR, NONE = pairs([0.1, -0.2, 0.0]), pairs([900.0, 1200.0]), pairs([])


def test_states_that_agree_give_a_value():
    """Negative control."""
    for found in (split(BASE, GOOD, GOOD), plain(BASE, GOOD), average(BASE, GOOD)):
        assert np.isfinite(found).all()


@pytest.mark.parametrize(("fine", "coarse"), [(GOOD, FAR), (NONE, GOOD), (GOOD, NONE)])
def test_the_split_estimate_has_no_value_where_nothing_determines_it(fine, coarse):
    found = split(BASE, fine, coarse)
    assert found.shape == (2,)
    assert not np.isfinite(found).any()


def test_the_plain_estimate_and_the_mean_have_none_either():
    assert not np.isfinite(plain(BASE, FAR)).any()
    for found in (plain(BASE, NONE), average(BASE, NONE)):
        assert found.shape == (2,)
        assert np.isnan(found).all()


FINE = LinearGaussian.example(np.random.default_rng(1))
FAR_OFF = replace(FINE, matrix=3.0 * FINE.matrix)
PRECISE = {"noise": FINE.noise.tempered(1e-6)}
SHORT = TwoLevelConfig(chains=2, draws=6, warmup=0, subchain=2, tuning=40)


def two_level(fine, coarse, folder, **options):
    config = SHORT.model_copy(update=options)
    return run(TwoLevel(config), lambda: fine.posterior(coarse), Run(5, folder)).outcome


def test_a_surrogate_that_is_wrong_everywhere_is_blamed_after_the_solves(tmp_path):
    found = two_level(replace(FINE, **PRECISE), replace(FAR_OFF, **PRECISE), tmp_path)
    assert not found.converged
    assert "the likely cause is the surrogate" in found.message
    assert "split estimate has no value" in found.message
    group = found.groups["two_level"]
    assert group["finite"].sel(estimator="split") == 0
    assert group["finite"].sel(estimator="surrogate") == 1
    assert not np.isfinite(group["xi_mean"].sel(estimator="split")).all()


def test_a_good_surrogate_is_not_blamed(tmp_path):
    """Negative control."""
    found = two_level(FINE, replace(FINE, matrix=1.01 * FINE.matrix), tmp_path)
    assert found.converged
    assert (found.groups["two_level"]["finite"] == 1).all()


def test_a_run_without_corrections_has_no_split_estimate_and_no_fault(tmp_path):
    found = two_level(FINE, FINE, tmp_path, correction_every=100, warmup=1)
    finite = found.groups["two_level"]["finite"]
    assert found.converged
    assert finite.sel(estimator=["split", "draws"]).values.tolist() == [0, 1]


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_an_ensemble_of_few_draws_is_not_converged(draws, tmp_path):
    config = EmceeConfig(ensembles=1, draws=draws, warmup=20, thin=1, moves="stretch")
    found = run(Emcee(config), FINE.posterior, Run(1, tmp_path)).outcome
    assert not found.converged
    assert found.message.startswith("not converged: ")


@pytest.mark.parametrize(
    "draws",
    [
        np.array([0.0, 1.0]),  # τ is zero
        np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0]),  # negative
        1e-300 * np.arange(5.0),  # squares vanish
        np.zeros(4),
    ],
)
def test_no_autocorrelation_time_is_told_from_draws_that_have_none(draws):
    found = autocorrelation(draws[None, :, None] * np.ones((3, 1, 1)))
    assert np.isinf(found.tau).all()
    assert not found.reliable


def test_a_minimisation_that_starts_at_the_minimum_is_done(tmp_path):
    at_mean = replace(FINE, data=FINE.matrix @ FINE.prior_mean)
    for method in ("newton-cg", "lbfgs"):
        engine = Map(MapConfig(method=method))
        found = run(engine, at_mean.posterior, Run(1, tmp_path / method)).outcome
        assert found.converged
        assert np.abs(found.xi).max() < 1e-12


@pytest.mark.parametrize("name", ["pcn", "hmc", "emcee", "two-level"])
def test_a_chain_that_would_keep_no_draw_is_refused_before_it_runs(name):
    kind = registry.load("engines", name).Config
    with pytest.raises(ConfigError, match=r"ask for at least 7 draws, or lower thin"):
        parse(kind, {"draws": 6, "thin": 7}, "engine")
    assert parse(kind, {"draws": 7, "thin": 7}, "engine").draws == 7


def test_replicates_give_their_mean_and_its_standard_error():
    values = np.random.default_rng(0).standard_normal((5, 3))
    mean, error = replicated(lambda k: values[k], 5)
    assert np.allclose(mean, values.mean(axis=0))
    assert np.allclose(error, values.std(axis=0, ddof=1) / np.sqrt(5))
