"""A sampler whose number of draws is not given goes on until they are enough, and resumes there."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.mcmc import chains
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import Preempted

CASE = LinearGaussian.example(np.random.default_rng(4), 3, 12)
BUILD = partial(CASE.posterior, replace(CASE, matrix=CASE.matrix))


def go(folder, progress=None, draws=None, **spec):
    engine = Hmc(HmcConfig(warmup=20, draws=draws, thin=2))
    return run(engine, BUILD, Run(seed=3, folder=folder, **spec), progress)


def xi(result):
    return result.outcome.xi


@pytest.fixture
def short(monkeypatch):
    """From 20 to 80 draws, none of which are ever enough."""
    monkeypatch.setattr(chains, "SHORTEST", 20)
    monkeypatch.setattr(chains, "LONGEST", 80)
    monkeypatch.setattr(chains, "PLENTY", np.inf)


def test_an_easy_posterior_ends_at_the_first_look_and_converges(tmp_path):
    engine = Hmc(HmcConfig())
    found = run(engine, BUILD, Run(seed=3, folder=tmp_path))
    assert xi(found).shape[1] == chains.SHORTEST
    assert engine.most_steps == 300 + chains.LONGEST


def test_draws_that_are_asked_for_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "PLENTY", 0.0)
    assert xi(go(tmp_path, draws=40)).shape[1] == 20


@pytest.mark.usefixtures("short")
def test_it_doubles_until_the_limit(tmp_path):
    told = []
    found = go(tmp_path, lambda *note: told.append(note[2]))
    assert xi(found).shape == (4, 40, 3)
    assert list(dict.fromkeys(told)) == [40, 60, 100]
    given = go(tmp_path / "given", draws=80)
    np.testing.assert_array_equal(xi(found), xi(given))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_stopped_between_two_looks_resumes_to_the_same_bits(tmp_path, workers):
    whole = go(tmp_path / "whole")
    part = tmp_path / "part"

    def stop(chain, step, most, note):
        if most > 40:
            (part / "STOP").touch()

    with pytest.raises(Preempted):
        go(part, stop)
    np.testing.assert_array_equal(xi(go(part, resume=True, workers=workers)), xi(whole))


@pytest.mark.usefixtures("short")
def test_a_look_sees_the_draws_up_to_it_however_far_the_chains_are(tmp_path, monkeypatch):
    """A killed run may have gone on when it is judged again."""
    long = go(tmp_path, draws=60)
    monkeypatch.setattr(chains, "PLENTY", 0.0)
    monkeypatch.setattr("pdeinv.bayes.diagnostics.R_HAT", np.inf)
    monkeypatch.setattr("pdeinv.bayes.diagnostics.ESS", 0.0)
    again = go(tmp_path, resume=True)
    np.testing.assert_array_equal(xi(again), xi(long)[:, :10])


@pytest.mark.usefixtures("short")
def test_a_budget_ends_it(tmp_path):
    assert go(tmp_path, budget=Budget(n_forward=300)).exhausted
