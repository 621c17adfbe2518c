"""Training on the way: rounds are kept, workers do not matter, and bad surrogates are refused."""

import json

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters
from pdeinv.building import PosteriorRecipe, make_problem
from pdeinv.errors import SurrogateRejected
from pdeinv.io.observations import Observations
from pdeinv.refine import REJECT_SD, RefineConfig, admit, refine, solve_all
from pdeinv.rng import stream

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
ROUNDS = RefineConfig(round_size=20)


def silent(*_):
    pass


@pytest.fixture(scope="module")
def case():
    problem = make_problem("darcy", CONFIG)
    sensors = problem.sensors("grid:4x4")
    clean = problem.forward_model(sensors, 1)(np.array([0.5, 1.0, 2.0, 1.5]))
    noise = Noise(np.full(16, 0.02 * clean.max()))
    values = clean + noise.sample(stream(1, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise)


def recipe(data, surrogate=None):
    return PosteriorRecipe(
        "darcy", CONFIG, data.coords, data.values, data.noise, surrogate=surrogate
    )


def test_solves_do_not_depend_on_workers(case):
    xis = stream(2, "x").standard_normal((9, 4))
    one, two = Counters(), Counters()
    np.testing.assert_array_equal(
        solve_all(recipe(case[1]), xis, 1, one), solve_all(recipe(case[1]), xis, 2, two)
    )
    assert one == two == Counters(n_forward=9)


def test_training_passes_its_heldout_test_and_repeats_nothing(case, tmp_path):
    first = refine(*case, ROUNDS, tmp_path, (3, 1, 0), silent)
    assert first.counters.n_forward == 40
    assert first.report["sd_misfit_difference_heldout"] < 0.5
    told = []
    again = refine(*case, ROUNDS, tmp_path, (3, 1, 0), lambda *note: told.append(note))
    assert (again.counters, again.report) == (first.counters, first.report)
    assert told == []


def test_interrupted_training_ends_like_an_uninterrupted_one(case, tmp_path):
    whole = refine(*case, ROUNDS, tmp_path / "a", (3, 1, 0), silent)
    refine(*case, ROUNDS, tmp_path / "b", (3, 1, 0), silent)
    (tmp_path / "b" / "refined.json").unlink()
    (tmp_path / "b" / "refine1.npz").unlink()
    resumed = refine(*case, ROUNDS, tmp_path / "b", (3, 1, 0), silent)
    assert resumed.report == whole.report
    assert resumed.counters == whole.counters


def test_admission_accepts_what_was_trained_here(case, tmp_path):
    trained = refine(*case, ROUNDS, tmp_path, (3, 1, 0), silent)
    assert trained.folder is not None
    found = admit(recipe(case[1], trained.folder)(), trained.folder, stream(4, "admission"))
    assert found.report["sd_misfit_difference_heldout"] < 1.0
    assert found.counters.n_forward > 0


def test_a_surrogate_far_from_the_fine_model_is_refused(case, tmp_path):
    """The same surrogate under noise a hundred times smaller is a hundred times too coarse."""
    data = case[1]
    trained = refine(*case, RefineConfig(round_size=12), tmp_path, (3, 1, 0), silent)
    precise = PosteriorRecipe(
        "darcy",
        CONFIG,
        data.coords,
        data.values,
        Noise(data.noise.std / 2e4),
        surrogate=trained.folder,
    )
    with pytest.raises(SurrogateRejected, match=f"at most {REJECT_SD:g}.*generate --around"):
        admit(precise(), trained.folder, stream(4, "admission"))


def test_report_is_json(case, tmp_path):
    refine(*case, ROUNDS, tmp_path, (3, 1, 0), silent)
    saved = json.loads((tmp_path / "refined.json").read_text())
    assert set(saved) == {"counters", "report"}
