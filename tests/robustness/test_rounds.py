"""Training on the way: rounds are kept, workers do not matter, and bad surrogates are refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from folded import two_modes

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, WhitenedModel
from pdeinv.bayes.surrogate_limits import REJECT_SD
from pdeinv.config import parse
from pdeinv.engines.gaussian.minimize import find_map
from pdeinv.engines.requests import drive
from pdeinv.errors import CapabilityError, ConfigError, SurrogateRejected
from pdeinv.io.observations import Observations
from pdeinv.jobs.two_level import start, train
from pdeinv.jobs.two_level.admission import Difference, admit
from pdeinv.jobs.two_level.explorers import Agreement
from pdeinv.jobs.two_level.rounds import Rounds, RoundsConfig, solve_all
from pdeinv.jobs.two_level.start import at_the_maps, can_start_at_map
from pdeinv.jobs.two_level.train import train_in_rounds
from pdeinv.jobs.two_level.trial import Trial
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.plugins.surrogate import SolvedPairs
from pdeinv.rng import stream
from pdeinv.surrogates.common.storage import load_folder
from pdeinv.surrogates.multifidelity.surrogate import Multifidelity

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
ROUNDS = RoundsConfig(round_size=20, moves=60)


def silent(*_):
    pass


def observed_case(config):
    problem = make_problem("darcy", config)
    sensors, dim = problem.sensors("grid:4x4"), problem.prior().dim
    clean = problem.forward_model(sensors, 1)(np.resize([0.5, 1.0, 2.0, 1.5], dim))
    noise = Noise(np.full(16, 0.02 * clean.max()))
    values = clean + noise.sample(stream(1, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise)


@pytest.fixture(scope="module")
def case():
    return observed_case(CONFIG)


@pytest.fixture(scope="module")
def trained(case, tmp_path_factory):
    """A whole training, its folder and what it returned; for looking at only."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_in_rounds(Rounds(*case, ROUNDS, 3), folder, silent)


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


def test_training_passes_its_heldout_test_and_repeats_nothing(case, trained):
    folder, first = trained
    assert 60 < first.counters.n_forward < 120  # three rounds, and the searches for MAP points
    assert first.figures["sd_misfit_difference_heldout"] < 0.5
    told = []
    again = train_in_rounds(Rounds(*case, ROUNDS, 3), folder, lambda *note: told.append(note))
    assert (again.counters, again.figures) == (first.counters, first.figures)
    assert told == []


def test_the_search_for_the_map_point_is_counted_with_its_derivatives(case, trained, tmp_path):
    """And nothing else is: the coarse model's solves are surrogate evaluations."""
    found = trained[1].counters
    config = ROUNDS.model_copy(update={"start": "coarse"})
    plain = train_in_rounds(Rounds(*case, config, 3), tmp_path, silent).counters
    assert (plain.n_forward, plain.n_tangent, plain.n_adjoint) == (60, 0, 0)
    assert found.n_forward > 60
    assert found.n_tangent > 4  # the whole derivative, and the search
    assert found.n_adjoint > 4
    assert found.n_surrogate > 0


class Bare:
    """A model whose derivatives are hidden."""

    def __init__(self, inner):
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.inner, self.capabilities = inner, frozenset()

    def __call__(self, m, /):
        return self.inner(m)


def test_draws_about_the_map_lie_about_the_fine_map_and_not_the_coarse_one():
    """Linear case: mean and covariance under the inflated noise are known."""
    exact = LinearGaussian.example(np.random.default_rng(7))
    fine = exact.posterior(replace(exact, matrix=1.3 * exact.matrix))
    xis = at_the_maps(fine, fine.coarse, stream(1, "search")).draws(4000, 2.0, stream(1, "draws"))
    m, mean = fine.prior.unwhiten(xis), exact.exact()[0]
    spread = replace(exact, noise=exact.noise.tempered(4.0)).exact()[1]
    assert np.abs((m.mean(axis=0) - mean) / np.sqrt(np.diag(spread) / 4000)).max() < 4
    assert np.allclose(np.cov(m.T), spread, atol=0.1 * np.diag(spread).max())
    assert fine.counters.n_tangent > 0
    coarse = drive(fine.coarse, find_map(fine.coarse, stream(1, "coarse")))
    off = fine.prior.unwhiten(coarse) - mean
    assert np.abs(off / np.sqrt(np.diag(spread) / 4000)).max() > 6  # negative control


def test_no_mode_that_the_coarse_model_shows_is_missed(monkeypatch):
    """With four searches alone one of six seeds misses a mode: no surrogate knows it then."""
    both = two_modes()

    def sides(seed):
        xis = at_the_maps(both, both, stream(seed, "search")).draws(40, 1.0, stream(seed, "draws"))
        return {bool(a > 0) for a in both.prior.unwhiten(xis)[:, 0]}

    assert all(len(sides(seed)) == 2 for seed in range(12))
    monkeypatch.setattr(start, "_coarse_modes", lambda *_: [])
    assert not all(len(sides(seed)) == 2 for seed in range(12))  # negative control


@pytest.mark.parametrize("full", [0, 200])
def test_whole_derivative_and_sketch_say_the_same_of_the_map_point(case, monkeypatch, full):
    """The Hessian and the tangent, against finite differences of the model itself."""
    monkeypatch.setattr(start, "FULL", full)
    fine = recipe(case[1])()
    found = at_the_maps(fine, fine, stream(1, "search"))
    assert len(found.points) == 1
    laplace, h = found.points[0].laplace, 1e-4
    xi = laplace.mean
    steps = h * np.eye(4)
    jacobian = np.stack([(fine.predict(xi + s) - fine.predict(xi - s)) / (2 * h) for s in steps])
    white = fine.noise.whiten(jacobian)
    v = stream(2, "direction").standard_normal(4)
    np.testing.assert_allclose(laplace.precision(v), v + white @ (v @ white), rtol=1e-5)
    np.testing.assert_allclose(found.tangent(xi), fine.predict(xi), rtol=1e-12)
    np.testing.assert_allclose(found.tangent.jvp(v), v @ jacobian, rtol=1e-5)


def test_the_derivative_at_the_map_makes_up_for_draws():
    """Twelve draws for 16 unknowns: with the tangent the surrogate is far better than without."""
    unknown = {"kind": "piecewise", "cells": [4, 4], "std": 0.5}
    problem, data = observed_case({"cells": [16, 16], "unknown": unknown})
    fine = replace(recipe(data), problem_config=problem.config.model_dump(mode="json"))()
    coarse = WhitenedModel(problem.prior(), problem.forward_model(data.coords, -1))
    at = at_the_maps(fine, replace(fine, model=coarse), stream(1, "search"))
    xis = at.draws(12, 2.0, stream(1, "draws"))
    solved = fine.predict(xis)
    draws = at.draws(40, 1.0, stream(2, "draws"))
    values = fine.predict(draws)

    def sd(tangent):
        pairs = SolvedPairs(data, xis, solved, tangent)
        made = Multifidelity.from_pairs(problem, pairs, Multifidelity.Config(), 3)
        model = made.bind(problem, problem.prior(), data.coords)
        return Difference.of(replace(fine, model=model), draws, values).sd

    assert sd(at.tangent) < 0.5 * sd(None)


def test_a_model_without_derivatives_starts_from_the_coarse_one(case):
    fine = recipe(case[1])()
    assert can_start_at_map(fine)
    bare = replace(fine, model=Bare(fine.model))
    assert not can_start_at_map(bare)
    with pytest.raises(CapabilityError, match="training with start = 'laplace' needs jvp, vjp"):
        at_the_maps(bare, fine, stream(1, "search"))


@pytest.mark.slow
def test_training_without_derivatives_takes_the_coarse_posterior(tmp_path):
    """Level-set fields have none; asked for, the MAP point is refused in one line."""
    config = {"cells": [8, 8], "unknown": {"kind": "two-phase"}}
    problem = make_problem("darcy", config)
    sensors = problem.sensors("grid:3x3")
    m = problem.prior().unwhiten(stream(2, "truth").standard_normal(problem.prior().dim))
    clean = problem.forward_model(sensors, 1)(m)
    data = Observations(problem.observed, clean, sensors, Noise(np.full(9, 0.2 * clean.max())))
    rounds = RoundsConfig(round_size=12, max_rounds=2, target_sd=50, moves=20)
    found = train_in_rounds(Rounds(problem, data, rounds, 3), tmp_path / "auto", silent).counters
    assert (found.n_forward, found.n_tangent) == (24, 0)
    asked = rounds.model_copy(update={"start": "laplace"})
    with pytest.raises(CapabilityError, match="start = 'laplace'"):
        train_in_rounds(Rounds(problem, data, asked, 3), tmp_path / "laplace", silent)


@pytest.mark.parametrize("key", ["explorers", "moves", "round_size", "max_rounds"])
def test_sizes_of_rounds_that_no_machine_ends_are_refused(key):
    with pytest.raises(ConfigError, match=f"surrogate.{key}: input should be less than or equal"):
        parse(RoundsConfig, {key: 10**9}, "surrogate")


def test_tests_of_all_rounds_are_kept_where_the_surrogate_is_refused_too(case, tmp_path):
    strict = RoundsConfig(round_size=12, max_rounds=3, target_sd=1e-9, moves=60)
    train_in_rounds(Rounds(*case, strict, 3), tmp_path, silent)
    tests = json.loads((tmp_path / "tests.json").read_text())
    assert [t["pairs"] for t in tests] == [12, 24]
    assert all(t["sd"] > 0 for t in tests)


def test_interrupted_training_ends_like_an_uninterrupted_one(case, trained, tmp_path):
    folder, whole = trained
    shutil.copy(folder / "round0.npz", tmp_path)
    resumed = train_in_rounds(Rounds(*case, ROUNDS, 3), tmp_path, silent)
    assert resumed.figures == whole.figures
    assert resumed.counters == whole.counters
    weights = [load_folder(f / "surrogate", "multifidelity")[0] for f in (folder, tmp_path)]
    for name in weights[0]:
        np.testing.assert_array_equal(weights[0][name], weights[1][name])


@pytest.mark.parametrize("change", ["absent", "other"])
def test_rounds_in_another_basis_are_refused(case, trained, tmp_path, change):
    with np.load(trained[0] / "round0.npz") as data:
        arrays = dict(data)
    probe = arrays.pop("probe")
    if change == "other":
        arrays["probe"] = probe + 1e-3
    np.savez(tmp_path / "round0.npz", **arrays)
    with pytest.raises(ConfigError, match=r"another prior, perhaps in the basis of an older"):
        train_in_rounds(Rounds(*case, ROUNDS, 3), tmp_path, silent)


def test_admission_accepts_what_was_trained_here(case, trained):
    folder = trained[1].folder
    assert folder is not None
    found = admit(recipe(case[1], folder)(), folder, 4)
    assert found.figures["sd_misfit_difference_heldout"] < 1.0
    assert found.counters.n_forward > 0


@pytest.mark.slow
def test_a_surrogate_far_from_the_fine_model_is_refused(case, trained):
    """The same surrogate under noise a hundred times smaller is a hundred times too coarse."""
    data = case[1]
    folder = trained[1].folder
    precise = PosteriorRecipe(
        "darcy",
        CONFIG,
        data.coords,
        data.values,
        Noise(data.noise.std / 2e4),
        surrogate=folder,
    )
    with pytest.raises(SurrogateRejected, match=f"± {REJECT_SD:g} can work.*generate --around"):
        admit(precise(), folder, 4)


def test_report_is_json(trained):
    saved = json.loads((trained[0] / "rounds.json").read_text())
    assert set(saved) == {"counters", "figures"}


def test_later_explorers_and_chains_begin_at_what_earlier_ones_have_seen(
    case, tmp_path, monkeypatch
):
    """Where their surrogate was not refused; a resumed training passes the same on."""
    asked = list[object]()
    moved = train.Exploration.__call__

    def noted(self, posterior, spent):
        asked.append(posterior.seen)
        return moved(self, posterior, spent)

    monkeypatch.setattr(train.Exploration, "__call__", noted)
    report = train_in_rounds(Rounds(*case, ROUNDS, 3), tmp_path, silent)
    rounds = [np.load(tmp_path / f"round{j}.npz")["seen"] for j in range(1, len(asked) + 1)]
    assert asked[0] is None
    assert len(asked) >= 2
    for seen, known in zip(asked[1:], rounds, strict=False):
        np.testing.assert_array_equal(seen, known)
    np.testing.assert_array_equal(report.seen, rounds[-1])
    again = train_in_rounds(Rounds(*case, ROUNDS, 3), tmp_path, silent)
    np.testing.assert_array_equal(again.seen, report.seen)
    made = replace(recipe(case[1], report.folder), seen=report.seen)()
    np.testing.assert_array_equal(made.coarse.seen, report.seen)


def test_draws_of_a_refused_surrogate_tell_nothing():
    good = Agreement(1.01, "the misfit", 4.0)
    assert Trial(40, Difference(1.0, 1.8), good).telling
    assert not Trial(40, Difference(1.0, 4.1), good).telling
    assert not Trial(40, Difference(9.0, 1.8), good).telling
    assert not Trial(40, Difference(1.0, 1.8), replace(good, r_hat=1.06)).telling
