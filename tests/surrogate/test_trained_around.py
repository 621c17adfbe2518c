"""A surrogate that was trained around a narrow posterior is found there, not refused from afar."""

import warnings

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.surrogate_limits import REJECT_SD
from pdeinv.engines.gaussian.approximation import laplace_at_map, laplace_reference
from pdeinv.engines.requests import drive
from pdeinv.engines.solvable import in_reach, trained_start, unwatched
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Around, Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.two_level.admission import admit, explore
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import Source
from pdeinv.surrogates.common.bound import BoundModel
from pdeinv.surrogates.gaussian_process.surrogate import Gp, GpConfig

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.7}}
TRUTH = np.array([2.2, -1.6, 1.1, -2.0])


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The posterior of the solver with the process that was trained around it, and its Gaussian."""
    problem = make_problem("darcy", CONFIG)
    sensors, prior = problem.sensors("grid:4x4"), problem.prior()
    model = WhitenedModel(prior, problem.forward_model(sensors))
    clean = model(TRUTH)
    noise = Noise(np.full(16, 0.005 * np.abs(clean).max()))
    data = clean + noise.sample(np.random.default_rng(1))
    fine = Posterior(prior, model, data, noise)
    found = drive(fine, laplace_at_map(fine, np.random.default_rng(0)))
    folder = tmp_path_factory.mktemp("around")
    root = np.linalg.cholesky(found.covariance(np.eye(4)))
    design = Around(found.mean, root, 3.0, Source("lap.nc", "0" * 64))
    plan = Plan("darcy", CONFIG, sensors, 150, 4, design=design, noise_std=noise.std)
    generate(plan, folder / "data.nc", folder / "run")
    gp = Gp.fit(datasets.read(folder / "data.nc"), problem, GpConfig(), 1)
    gp.save(folder / "gp")
    coarse = Posterior(prior, gp.bind(problem, prior, sensors), data, noise)
    return Posterior(prior, model, data, noise, coarse), found, folder / "gp"


def test_the_noise_of_the_observations_is_that_of_the_training(case):
    fine, _, folder = case
    np.testing.assert_array_equal(Gp.load(folder).record.noise_std, fine.noise.std)


def test_it_is_admitted(case):
    fine, _, folder = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = admit(fine, folder, 3).figures
    assert figures["sd_misfit_difference_heldout"] < 0.5 < REJECT_SD
    assert figures["sd_misfit_difference_expected"] < 1


@pytest.mark.parametrize("start", ["mean", "prior"])
@pytest.mark.parametrize("seed", range(4))
def test_searches_begin_where_it_was_trained(case, start, seed):
    fine, found, _ = case
    reference = drive(
        fine.coarse, laplace_reference(fine.coarse, np.random.default_rng(seed), start)
    )
    assert np.abs((reference.mean - found.mean) / np.sqrt(found.variance)).max() < 0.3


def test_explorers_find_the_posterior(case, monkeypatch):
    fine, found, _ = case
    xis = explore(fine.coarse, 40, 5, np.random.default_rng(0))
    assert np.abs((xis.mean(axis=0) - found.mean) / np.sqrt(found.variance)).max() < 1.5
    # negative control: from the prior mean they do not
    monkeypatch.delattr(BoundModel, "trained_range")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lost = explore(fine.coarse, 40, 5, np.random.default_rng(0))
    assert np.abs((lost.mean(axis=0) - found.mean) / np.sqrt(found.variance)).max() > 10


def test_a_start_moves_into_the_range_component_by_component(case):
    fine = case[0]
    low, high = fine.coarse.model.trained_range
    xi = np.array([0.0, 0.5 * (low[1] + high[1]), -9.0, 9.0])
    moved = trained_start(fine.coarse, xi)
    assert moved[0] == 0.5 * (low[0] + high[0])
    assert moved[1] == xi[1]
    assert np.allclose(moved[2:], [low[2], high[3]])
    assert np.array_equal(trained_start(fine, xi), xi)


def test_searches_for_a_start_do_not_count_as_evaluations_outside(case):
    on = case[0].coarse
    seen = on.model.watch.n_seen
    with unwatched(on):
        on.misfit(np.zeros(4))
    assert on.model.watch.n_seen == seen
    on.misfit(on.model.trained_range[0])
    assert on.model.watch.n_seen == seen + 1
    assert on.model.watch.paused == 0


def test_reach_ends_where_a_process_is_flat(case):
    fine, found, _ = case
    assert in_reach(fine.coarse, found.mean)
    assert not in_reach(fine.coarse, np.zeros(4))
    assert in_reach(fine, np.zeros(4))
