"""Two-level MCMC with a deliberately wrong surrogate still samples the fine posterior."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run

FINE = LinearGaussian.example(np.random.default_rng(1))
WRONG = replace(
    FINE, matrix=FINE.matrix + 0.05 * np.random.default_rng(3).standard_normal(FINE.matrix.shape)
)


def build():
    return FINE.posterior(WRONG)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = TwoLevelConfig(
        chains=8, draws=500, warmup=20, subchain=3, tuning=200, correction_every=1
    )
    return run(TwoLevel(config), build, Run(seed=5, folder=tmp_path_factory.mktemp("two")))


def z_scores(result, estimator):
    group = result.outcome.groups["two_level"].sel(estimator=estimator)
    return ((group.m_mean - FINE.exact()[0]) / group.m_mcse).values


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["draws", "split"])
def test_means_are_those_of_the_fine_posterior(result, estimator):
    assert np.abs(z_scores(result, estimator)).max() < 4


@pytest.mark.slow
def test_the_surrogate_alone_is_wrong(result):
    """Negative control."""
    assert np.abs(z_scores(result, "surrogate")).max() > 10


@pytest.mark.slow
def test_draws_have_the_fine_covariance(result):
    m = build().prior.unwhiten(result.outcome.xi)
    per_chain = np.stack([np.cov(chain.T) for chain in m])
    error = per_chain.std(axis=0, ddof=1) / np.sqrt(len(per_chain))
    assert np.abs((per_chain.mean(axis=0) - FINE.exact()[1]) / error).max() < 4.5


@pytest.mark.slow
def test_every_fine_solve_is_counted(result):
    config = TwoLevelConfig(chains=8, draws=500, warmup=20)
    most = config.chains * (4 + config.warmup + 2 * config.draws)
    assert 0.9 * most < result.counters.n_forward <= most
    assert result.counters.n_surrogate > 8 * 500 * 2 * 3


def test_an_exact_surrogate_is_accepted_whenever_it_moves(tmp_path):
    config = TwoLevelConfig(chains=1, draws=100, warmup=0, subchain=3, tuning=100)
    found = run(TwoLevel(config), lambda: FINE.posterior(FINE), Run(seed=5, folder=tmp_path))
    assert found.outcome.summary["acceptance_rate"] > 0.97
    assert found.outcome.summary["sd_misfit_difference"] < 1e-10


def longest_standstill(folder):
    """Of four chains with a surrogate whose posterior is too narrow."""
    config = TwoLevelConfig(chains=4, draws=400, warmup=50, subchain=5, tuning=200)
    narrow = replace(FINE, matrix=1.3 * FINE.matrix)
    found = run(TwoLevel(config), lambda: FINE.posterior(narrow), Run(seed=5, folder=folder))
    ends = [np.flatnonzero(np.diff(np.append(c, np.nan))) for c in found.outcome.stats["misfit"]]
    return max(int(np.diff(np.append(-1, e)).max()) for e in ends)


def test_short_moves_leave_states_that_the_surrogate_thinks_little_of(tmp_path, monkeypatch):
    near = longest_standstill(tmp_path / "near")
    monkeypatch.setattr("pdeinv.engines.mcmc.two_level.NEAR", 0.0)
    assert near < 0.5 * longest_standstill(tmp_path / "far")  # negative control
