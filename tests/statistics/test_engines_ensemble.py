"""Ensembles of walkers: both kinds of moves keep the target, and the verdict knows a short run."""

import emcee
import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.mcmc.emcee import Emcee, EmceeConfig, snooker
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run

CASE = LinearGaussian.example(np.random.default_rng(7))


def variance_under(move, dim=5, walkers=40, steps=3000):
    """The mean variance that a move finds for a standard Gaussian, with its standard error."""
    random = np.random.RandomState(1)
    sampler = emcee.EnsembleSampler(
        walkers, dim, lambda x: -0.5 * np.sum(x**2, axis=1), moves=move, vectorize=True
    )
    sampler.random_state = random.get_state()
    sampler.run_mcmc(random.standard_normal((walkers, dim)), steps)
    squares = (sampler.get_chain(discard=500) ** 2).mean(axis=(1, 2))
    blocks = squares[: len(squares) // 20 * 20].reshape(20, -1).mean(axis=1)
    return blocks.mean(), blocks.std(ddof=1) / np.sqrt(20)


def test_our_snooker_move_keeps_a_gaussian():
    move = emcee.moves.DESnookerMove()
    move.get_proposal = snooker
    found, error = variance_under(move)
    assert abs(found - 1) < 4 * error
    assert error < 0.03


def test_a_snooker_with_half_its_factor_is_caught():
    """Negative control: the acceptance factor of the published package."""

    def halved(walkers, others, random):
        proposals, factors = snooker(walkers, others, random)
        return proposals, 0.5 * factors

    move = emcee.moves.DESnookerMove()
    move.get_proposal = halved
    found, error = variance_under(move)
    assert abs(found - 1) > 10 * error


@pytest.mark.parametrize("moves", ["stretch", "de-snooker"])
def test_both_moves_find_the_posterior(moves, tmp_path):
    config = EmceeConfig(moves=moves, ensembles=8, draws=600, warmup=200, thin=10)
    found = run(Emcee(config), CASE.posterior, Run(2, tmp_path)).outcome
    m = CASE.posterior().prior.unwhiten(found.xi)
    mean, cov = CASE.exact()
    per_ensemble = m.mean(axis=1)
    error = per_ensemble.std(axis=0, ddof=1) / np.sqrt(8)
    assert np.abs((per_ensemble.mean(axis=0) - mean) / error).max() < 5.4  # p = 0.001
    ratio = np.trace(np.linalg.solve(cov, np.cov(m.reshape(-1, 3).T))) / 3
    assert 0.95 < ratio < 1.05


def judged(draws, tmp_path, **options):
    config = EmceeConfig(draws=draws, warmup=200, thin=5, **options)
    return run(Emcee(config), CASE.posterior, Run(2, tmp_path)).outcome


def test_a_long_run_is_converged_and_says_how_long(tmp_path):
    found = judged(2500, tmp_path)
    assert found.converged
    assert found.message.startswith("converged: ")
    assert 5 < found.summary["autocorrelation_time"] < 50
    assert found.summary["r_hat_of_ensembles"] < 1.05
    assert found.xi.shape == (2, 500 * 32, 3)
    assert not found.independent_chains


def test_a_run_shorter_than_fifty_autocorrelation_times_is_not(tmp_path):
    found = judged(100, tmp_path)
    assert not found.converged
    assert "50 are wanted" in found.message


def test_effective_size_agrees_with_the_spread_of_independent_ensembles(tmp_path):
    """sd²/n_eff is the variance of an ensemble's mean within a factor two, over 12 ensembles."""
    found = judged(700, tmp_path, ensembles=12)
    per_ensemble = found.xi.mean(axis=1)
    predicted = found.xi.reshape(-1, 3).var(axis=0) / (found.summary["n_eff"] / 12)
    ratio = per_ensemble.var(axis=0, ddof=1).mean() / predicted.mean()
    assert 0.4 < ratio < 2.5
