"""The learned prior: what it learns, what its spread is worth, and how engines begin with it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from pdeinv.bayes.bands import coverage
from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.cli.verbs import app
from pdeinv.errors import ConfigError, DataSchemaError, Preempted, ShapeError, SurrogateRejected
from pdeinv.io import datasets
from pdeinv.jobs.evaluate_inverse import Examination, examination_summary
from pdeinv.model.learned import Estimate
from pdeinv.plugins.aligned import Measured
from pdeinv.plugins.conformance.surrogate_lessons import lesson
from pdeinv.plugins.estimated import LEAST, estimate_of
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.hooks import likelihood
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.rng import stream
from pdeinv.surrogates.inverse.inputs import Images, lattice
from pdeinv.surrogates.inverse.noising import Noised, NoiseLaw
from pdeinv.surrogates.inverse.spread import conformal_factor, mixed
from pdeinv.surrogates.inverse.surrogate import InverseCnn, InverseCnnConfig

pytestmark = pytest.mark.usefixtures("solves_here")

DARCY = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
TUMOR = {
    "solver": "finite-differences",
    "lengths": [96.0, 96.0],
    "cells": 24,
    "masks": {},
    "tissue": {"kind": "homogeneous"},
    "time": {"steps": 20},
}
RUN = """
[problem]
name = "darcy"
cells = [8, 8]
unknown = {kind = "piecewise", cells = [2, 2], std = 0.5}
"""


def call(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


# --- parts -------------------------------------------------------------------------------------


def test_two_members_that_disagree_are_as_wide_as_their_mixture():
    members = [Estimate(np.array([[m]]), np.array([[s]])) for m, s in ((0.0, 1.0), (2.0, 3.0))]
    found = mixed(members)
    draws = np.random.default_rng(0).standard_normal((2, 200_000)) * [[1.0], [3.0]] + [[0.0], [2.0]]
    assert found.mean[0, 0] == 1.0
    assert found.std[0, 0] == pytest.approx(draws.std(), rel=0.01)


@pytest.mark.parametrize("stated", [0.2, 1.0, 4.0])
def test_the_factor_makes_bands_of_90_percent_hold_that_many_new_truths(stated):
    rng = np.random.default_rng(1)

    def samples(n):
        truth = rng.standard_t(4, (n, 3))
        return Estimate(np.zeros((n, 3)), np.full((n, 3), stated)), truth

    factor = conformal_factor(*samples(400))
    found, truth = samples(20_000)
    assert coverage(replace(found, std=found.std * factor), truth) == pytest.approx(0.9, abs=0.025)
    if stated != 1.0:
        assert abs(coverage(found, truth) - 0.9) > 0.04


def grid(n, regions=(1, 2)):
    y, x = (a.ravel() for a in np.mgrid[0:n, 0:n] * 4.0)
    return {
        "x": np.tile(x, len(regions)), "y": np.tile(y, len(regions)),
        "region": np.repeat(np.array(regions, dtype=float), n * n),
    }  # fmt: skip


def test_data_on_a_lattice_become_images_of_their_means():
    sensors = grid(12)
    found = lattice(sensors, ("x", "y"))
    data = np.stack([sensors["x"] + 100 * sensors["y"] + sensors["region"], np.zeros(288)])
    images = Images.fit(found, 6, data)
    assert images.shape == (2, 6, 6)
    shown = images(data).reshape(2, 2, 6, 6)
    back = shown[0] * images.scale[:, None, None]
    true = data[0].reshape(2, 6, 2, 6, 2).mean(axis=(2, 4))
    mean = images.mean.reshape(2, 6, 2, 6, 2).mean(axis=(2, 4))
    assert np.allclose(back, true - mean)


def test_what_was_not_measured_says_nothing_in_an_image():
    found = lattice(grid(8), ("x", "y"))
    data = np.random.default_rng(0).standard_normal((5, 128))
    images = Images.fit(found, 4, data)
    assert np.allclose(images(np.full((1, 128), np.nan)), 0.0)
    assert np.allclose(images(images.mean[None]), 0.0)


@pytest.mark.parametrize(
    "sensors",
    [
        {"x": np.arange(20.0)},
        {"x": np.random.default_rng(0).random(64), "y": np.random.default_rng(1).random(64)},
        grid(4),
        {**grid(8), "y": grid(8)["y"] ** 2},
    ],
)
def test_a_line_scattered_few_or_uneven_places_are_no_lattice(sensors):
    assert lattice(sensors, ("x", "y")) is None


def law(n=4):
    return NoiseLaw(None, np.full(n, 0.5), (0.5, 2.0))


def test_noise_is_fresh_in_each_epoch_and_the_same_for_a_row_whoever_reads_it():
    values = np.zeros((6, 4))
    noised = Noised(values, law(), lambda data, levels: np.column_stack([levels, data]), 3, 5)
    first = noised[np.arange(6)]
    assert np.array_equal(noised[[4, 1]], first[[4, 1]])
    noised.begin(1)
    assert not np.isclose(noised[np.arange(6)], first).any()
    noised.begin(0)
    assert np.array_equal(noised[slice(2, 5)], first[2:5])


def test_additive_noise_has_the_level_that_the_network_is_told():
    told = law(4000)
    data, levels = told.rows(np.zeros((30, 4000)), 1, "try")
    assert np.allclose(data.std(axis=1), 0.5 * np.exp(levels), rtol=0.05)
    assert np.log(0.5) <= levels.min() < levels.max() <= np.log(2.0)
    assert told.level(np.full(4000, 0.75)) == (pytest.approx(np.log(1.5)), 1.0)
    assert told.level(np.full(4000, 0.01)) == (pytest.approx(np.log(0.5)), 1.0)
    assert told.level(np.full(4000, 2.0)) == (pytest.approx(np.log(2.0)), pytest.approx(2.0))


def test_masks_are_drawn_from_their_own_likelihood():
    own = NoiseLaw(Bernoulli(2, "threshold"), np.ones(2), (1.0, 1.0))
    data, levels = own.rows(np.tile([9.0, -9.0], (5, 1)), 1, "try")
    assert np.array_equal(data, np.tile([1.0, 0.0], (5, 1)))
    assert not levels.any()


# --- training ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def darcy():
    problem = make_problem("darcy", DARCY)
    return problem, lesson(problem, problem.sensors("grid:3x3"), 500)


@pytest.fixture(scope="module")
def trained(darcy):
    problem, dataset = darcy
    return InverseCnn.fit(dataset, problem, InverseCnnConfig(epochs=60, members=2), 1)


def fresh(problem, sensors, n, rel=0.02):
    xi = stream(9, "fresh").standard_normal((n, problem.prior().dim))
    model = problem.forward_model(sensors)
    values = np.stack([model(m) for m in problem.prior().unwhiten(xi)])
    return xi, values


def test_it_learns_the_inverse_and_its_bands_hold_fresh_truths(darcy, trained):
    problem, dataset = darcy
    xi, values = fresh(problem, dataset.sensors, 200)
    std = trained.record.noise_std
    bound = trained.bind(problem, problem.prior(), dataset.sensors)
    found = bound(values + std * np.random.default_rng(2).standard_normal(values.shape), std)
    assert np.sqrt(np.mean((found.mean - xi) ** 2)) < 0.25
    assert 0.8 < coverage(found, xi) < 0.98
    assert trained.metadata["errors"]["xi_rms"] < 0.25


def test_it_says_how_it_was_calibrated_and_how_large_it_is(trained):
    extra = trained.metadata["extra"]
    assert extra["calibrated_on"] == 50
    assert len(extra["conformal_factor"]) == 4
    assert extra["parameters"] == sum(a.size for w in trained.weights for a in w.values())
    assert extra["inputs"] == "modes"


def test_more_noise_widens_the_estimate(darcy, trained):
    problem, dataset = darcy
    bound, std = trained.bind(problem, problem.prior(), dataset.sensors), trained.record.noise_std
    few, more, most = (bound(dataset.values[:50], f * std).std.mean() for f in (1.0, 3.0, 30.0))
    assert few < more < most
    assert most == pytest.approx(10 * more)


def test_sensors_may_be_some_of_the_trained_ones_in_any_order(darcy, trained):
    problem, dataset = darcy
    prior, std = problem.prior(), trained.record.noise_std
    whole = trained.bind(problem, prior, dataset.sensors)(dataset.values[:5], std)
    turn = np.random.default_rng(0).permutation(9)
    turned = {c: v[turn] for c, v in dataset.sensors.items()}
    same = trained.bind(problem, prior, turned)(dataset.values[:5, turn], std[turn])
    assert np.allclose(same.mean, whole.mean)
    some = {c: v[:6] for c, v in dataset.sensors.items()}
    part = trained.bind(problem, prior, some)(dataset.values[:5, :6], std[:6])
    assert np.isfinite(part.mean).all()
    moved = {c: v + 0.01 for c, v in dataset.sensors.items()}
    with pytest.raises(SurrogateRejected, match="9 of 9 sensors are not among"):
        trained.bind(problem, prior, moved)


def test_data_of_another_length_are_refused_in_one_line(darcy, trained):
    problem, dataset = darcy
    bound = trained.bind(problem, problem.prior(), dataset.sensors)
    with pytest.raises(ShapeError, match="expected rows of 9 data with 9 σ"):
        bound(dataset.values[:2, :8], np.ones(8))


def test_images_of_masks_are_learned_by_convolutions():
    problem = make_problem("tumor", TUMOR)
    sensors = problem.sensors("grid:12")
    dataset = replace(lesson(problem, sensors, 300), noise_std=None)
    config = InverseCnnConfig(epochs=25, members=1, width=4, learning_rate=5e-3)
    found = InverseCnn.fit(dataset, problem, config, 1)
    assert found.metadata["extra"]["inputs"] == "images"
    assert found.metadata["extra"]["input_shape"] == [2, 12, 12]
    seed = found.metadata["extra"]["xi_rms_each"][2:4]
    assert max(seed) < 0.6
    again = InverseCnn.restored(found.arrays(), found.record)
    bound = again.bind(problem, problem.prior(), sensors)
    own = likelihood(problem)(sensors)
    data = own.draw(dataset.values[:3], np.random.default_rng(0))
    assert np.isfinite(bound(data, own.std).mean).all()


def test_a_score_cannot_be_trained_on():
    problem = make_problem("tumor", {**TUMOR, "masks": {"score": "dice"}})
    dataset = lesson(problem, problem.sensors("grid:6"), 12)
    with pytest.raises(ConfigError, match="no data can be drawn"):
        InverseCnn.fit(dataset, problem, InverseCnnConfig(epochs=1), 1)


def test_images_of_what_lies_on_no_lattice_are_refused(darcy):
    problem, dataset = darcy
    with pytest.raises(ConfigError, match="needs data on a lattice"):
        InverseCnn.fit(dataset, problem, InverseCnnConfig(inputs="images"), 1)


def test_four_samples_are_too_few(darcy):
    problem, dataset = darcy
    with pytest.raises(DataSchemaError, match=r"at least 5 solved samples, .* got 4"):
        InverseCnn.fit(dataset.rows(slice(4)), problem, InverseCnnConfig(epochs=1), 1)


@pytest.mark.parametrize("noise_range", [(2.0, 1.0), (0.0, 1.0), (1.0, float("inf"))])
def test_a_range_of_noise_rises_and_is_positive(noise_range):
    with pytest.raises(ValueError, match="two rising positive numbers"):
        InverseCnnConfig(noise_range=noise_range)


def test_a_training_that_was_stopped_ends_with_the_same_bits(darcy, tmp_path):
    problem, dataset = darcy
    config, calls = InverseCnnConfig(epochs=4, members=2, batch_size=64), []

    def fit(run):
        return InverseCnn.fit(dataset.rows(slice(250)), problem, config, 3, run)

    def asked(most):
        calls.append(1)
        return len(calls) > most

    whole = fit(FitRun(should_stop=lambda: asked(10**6)))
    most = int(0.8 * len(calls))  # in the second member
    calls.clear()
    with pytest.raises(Preempted):
        fit(FitRun(tmp_path, should_stop=lambda: asked(most)))
    assert (tmp_path / "member1").is_dir()
    resumed = fit(FitRun(tmp_path, resume=True))
    for name, array in whole.arrays().items():
        assert np.array_equal(array, resumed.arrays()[name]), name


# --- what engines make of it -------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inverse")
    (folder / "run.toml").write_text(RUN)
    config = ("--config", folder / "run.toml")
    obs = folder / "obs.nc"
    for words in (
        ("solve", "darcy", *config, "--seed", 1, "--out", folder / "truth.nc"),
        ("observe", folder / "truth.nc", "--sensors", "grid:3x3", "--noise-rel", 0.02, "--seed", 2,
         "--out", obs),
        ("generate", "--obs", obs, *config, "--n", 300, "--seed", 3, "--out", folder / "data.nc"),
        ("train-surrogate", "inverse-cnn", "--data", folder / "data.nc", "--seed", 4, "--out",
         folder / "inverse", "--set", "surrogate.epochs=60", "--set", "surrogate.members=2"),
    ):  # fmt: skip
        done = call(*words)
        assert done.exit_code == 0, done.stderr
    return folder


def inverted(files, out, *words):
    done = call("invert", files / "obs.nc", "--config", files / "run.toml", "--seed", 5, "--out",
                out, *words)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return xr.open_datatree(out)


def estimate(files):
    surrogate = load_surrogate(files / "inverse")
    held = datasets.read(files / "data.nc")
    problem = make_problem(held.problem, held.problem_config)
    with xr.open_dataset(files / "obs.nc") as obs:
        sensors = {c: np.asarray(obs[c]) for c in ("x", "y")}
        values, std = np.asarray(obs["u"]), np.asarray(obs["u_sigma"])
    from pdeinv.bayes.noise import Noise

    return estimate_of(surrogate, problem, make_problem, Measured(sensors, values, Noise(std)))


SHORT = {
    "map": (),
    "laplace": (),
    "cma": ("--set", "engine.searches=1"),
    "hmc": ("--draws", 60, "--set", "engine.warmup=40", "--chains", 2),
    "pcn": ("--draws", 400, "--set", "engine.warmup=200", "--set", "engine.thin=1", "--chains", 2),
    "emcee": ("--draws", 200, "--set", "engine.warmup=50"),
}


@pytest.mark.parametrize("engine", SHORT)
def test_an_engine_says_that_and_how_far_from_the_estimate_it_ended(files, engine, tmp_path):
    tree = inverted(
        files, tmp_path / "r.nc", "--engine", engine, "--surrogate", files / "inverse",
        *SHORT[engine],
    )  # fmt: skip
    told = estimate(files)
    group = tree["learned_start"]
    assert np.array_equal(group["mean"], told.mean)
    end = np.asarray(tree["unconstrained_posterior"]["xi"]).mean(axis=(0, 1))
    assert np.allclose(group["distance"], (end - told.mean) / told.std)
    message = tree.attrs["pdeinv_message"]
    assert "began at the estimate of a learned inverse" in message
    rms = json.loads(tree.attrs["pdeinv_summary"])["start_distance"]
    assert rms == pytest.approx(np.sqrt(np.mean(np.asarray(group["distance"]) ** 2)))
    assert any("inverse" in str(v) for v in tree.attrs.values())


def test_the_same_minimum_is_found_from_a_better_start(files, tmp_path):
    one = ("--engine", "cma", "--set", "engine.searches=1")
    plain = inverted(files, tmp_path / "a.nc", *one)
    begun = inverted(files, tmp_path / "b.nc", *one, "--surrogate", files / "inverse")
    a, b = (np.asarray(t["unconstrained_posterior"]["xi"])[0, 0] for t in (plain, begun))
    assert np.allclose(a, b, atol=0.02)
    first = [np.asarray(t["course"]["objective"])[0] for t in (plain, begun)]
    assert first[1] < 0.5 * first[0]


def test_a_start_that_is_asked_for_is_taken(files, tmp_path):
    asked = ("--engine", "cma", "--set", "engine.searches=1", "--set", "engine.start=mean")
    plain = inverted(files, tmp_path / "a.nc", *asked)
    begun = inverted(files, tmp_path / "b.nc", *asked, "--surrogate", files / "inverse")
    a, b = (np.asarray(t["unconstrained_posterior"]["xi"]) for t in (plain, begun))
    assert np.array_equal(a, b)


@pytest.mark.slow
def test_pcn_moves_about_the_estimate_and_finds_the_same_posterior(files, tmp_path):
    reference = inverted(files, tmp_path / "a.nc", "--engine", "hmc", "--draws", 1000)
    found = inverted(
        files, tmp_path / "b.nc", "--engine", "pcn", "--surrogate", files / "inverse", "--set",
        "engine.proposal=inverse", "--draws", 8000,
    )  # fmt: skip
    a, b = (np.asarray(t["unconstrained_posterior"]["xi"]) for t in (reference, found))
    sd = a.std(axis=(0, 1))
    assert np.all(np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) < 0.2 * sd)
    assert np.allclose(b.std(axis=(0, 1)), sd, rtol=0.2)


def test_another_inverse_is_not_gone_on_with(files, tmp_path):
    other = tmp_path / "inverse"
    again = ("--set", "surrogate.epochs=2", "--set", "surrogate.members=1", "--out", other)
    assert call("train-surrogate", "inverse-cnn", "--data", files / "data.nc", "--seed", 9,
                *again).exit_code == 0  # fmt: skip
    words = ("--config", files / "run.toml", "--seed", 5, "--out", tmp_path / "r.nc", "--engine",
             "cma")  # fmt: skip
    first = ("invert", files / "obs.nc", *words, "--surrogate", files / "inverse")
    done = call(*first, "--max-solves", 40)
    assert done.exit_code == 0, done.stderr
    (tmp_path / "r.nc").unlink()
    done = call("invert", files / "obs.nc", *words, "--surrogate", other, "--resume")
    assert done.exit_code == 2
    assert "sha256 of the surrogate" in done.stderr
    assert call(*first, "--resume").exit_code == 0


@pytest.mark.parametrize("engine", ["eki", "database", "gaussian"])
def test_an_engine_that_makes_no_use_of_it_says_so(files, engine, tmp_path):
    words = ("--config", files / "run.toml", "--out", tmp_path / "r.nc", "--engine", engine)
    done = call("invert", files / "obs.nc", *words, "--surrogate", files / "inverse")
    assert done.exit_code == 2
    assert f"engine '{engine}' makes no use of a surrogate of role 'inverse'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_pcn_about_an_inverse_needs_one(files, tmp_path):
    words = ("--config", files / "run.toml", "--out", tmp_path / "r.nc", "--engine", "pcn")
    done = call("invert", files / "obs.nc", *words, "--set", "engine.proposal=inverse")
    assert done.exit_code == 2
    assert "needs a learned inverse; pass --surrogate with one" in done.stderr
    assert not (tmp_path / "r.nc").exists()


def test_an_inverse_of_another_prior_is_refused(files, tmp_path):
    other = RUN.replace("std = 0.5", "std = 0.6")
    (tmp_path / "run.toml").write_text(other)
    words = ("--config", tmp_path / "run.toml", "--out", tmp_path / "r.nc", "--engine", "map")
    done = call("invert", files / "obs.nc", *words, "--surrogate", files / "inverse")
    assert done.exit_code == 2
    assert "surrogate was trained for darcy with unknown.std = 0.5" in done.stderr


def test_a_dry_run_asks_the_inverse_as_well(files, tmp_path):
    words = ("--config", files / "run.toml", "--out", tmp_path / "r.nc", "--engine", "map")
    done = call("invert", files / "obs.nc", *words, "--surrogate", files / "inverse", "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_evaluate_tells_errors_and_coverage_on_fresh_data(files, tmp_path):
    out = tmp_path / "e.nc"
    done = call("evaluate", files / "inverse", "--n", 60, "--seed", 6, "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["xi_rms"] < 0.4
    assert told["coverage_90"] > 0.7
    with xr.open_dataset(out) as held:
        error = np.asarray(held["mean"] - held["xi"])
    assert told["xi_rms"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert told["components"][1]["rms"] == pytest.approx(np.sqrt(np.mean(error[:, 1] ** 2)))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--figure", "e.png"), "--figure shows surrogates of role 'forward'"),
        (("--around", "r.nc"), "an inverse is evaluated at draws of the prior"),
        (("--n", 10**12), "draws of 4 unknowns would take at least"),
    ],
)
def test_evaluate_refuses_what_an_inverse_has_not(files, flags, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("evaluate", files / "inverse", *flags)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not list(Path().iterdir())


def test_what_was_known_in_training_is_left_to_the_prior():
    there = make_problem("tumor", {**TUMOR, "masks": {"whole": 0.25, "core": 0.6}})
    here = make_problem("tumor", TUMOR)
    dataset = replace(lesson(there, there.sensors("grid:8"), 60), noise_std=None)
    config = InverseCnnConfig(epochs=2, members=1, width=4)
    found = InverseCnn.fit(dataset, there, config, 1)
    places = here.sensors("grid:8")
    data = (np.arange(len(places["x"])) % 3 == 0) * 1.0
    own = likelihood(here)(places)
    told = estimate_of(found, here, make_problem, Measured(places, data, own))
    np.testing.assert_array_equal(told.mean[4:], 0)
    np.testing.assert_array_equal(told.std[4:], 1)
    assert (told.mean[:4] != 0).all()


def test_data_of_another_brain_are_carried_there_and_estimates_back():
    far = {**TUMOR, "lengths": [192.0, 192.0], "cells": 48}
    phantom = {**far, "tissue": {"kind": "phantom"}}
    there = make_problem("tumor", phantom)
    here = make_problem("tumor", {**far, "tissue": {"kind": "phantom", "patient": 4}})
    dataset = replace(lesson(there, there.sensors("grid:16"), 300), noise_std=None)
    config = InverseCnnConfig(epochs=25, members=1, width=4, learning_rate=5e-3)
    found = InverseCnn.fit(dataset, there, config, 1)
    places = here.sensors("all")
    own = likelihood(here)(places)
    m = here.prior().unwhiten(np.zeros(6))
    data = (here.forward_model(places)(m) > 0).astype(float)
    told = estimate_of(found, here, make_problem, Measured(places, data, own))
    seed = here.prior().unwhiten(told.mean)[2:4]
    assert np.linalg.norm(seed - m[2:4]) < 25
    assert (told.std >= LEAST).all()


@pytest.mark.parametrize(
    ("rms", "std", "word"),
    [(0.95, 1.0, "weak: "), (0.87, 0.87, "fair: "), (0.4, 0.4, "good: "), (0.6, 0.1, "narrow: ")],
)
def test_an_estimate_is_good_that_explains_half_of_the_variance(rms, std, word):
    xi = np.random.default_rng(0).standard_normal((4000, 2))
    error = rms * np.random.default_rng(1).standard_normal(xi.shape)
    network = SimpleNamespace(metadata={"surrogate": "inverse-cnn"})
    found = Estimate(xi + error, np.full_like(xi, std))
    said = examination_summary(Examination(network, "darcy", xi, xi, found, 0))["verdict"]
    assert said.startswith(word)
    assert word != "fair: " or "explains 2" in said
