"""Roles: an inverse and a denoiser train, are stored and shown, and no verb mistakes them."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pdeinv.bayes.noise import Noise
from pdeinv.cli.verbs import app
from pdeinv.errors import CapabilityError
from pdeinv.io import datasets, netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs import foreseen
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.learned import Estimate, Role
from pdeinv.model.spaces import Space
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.plugins.surrogate import check_pairs, check_role, role_of
from pdeinv.provenance import attributes
from pdeinv.surrogates.common.lesson import LessonConfig
from pdeinv.surrogates.common.record import Judgement
from pdeinv.surrogates.common.trained import Trained

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}


class RidgeConfig(LessonConfig):
    penalty: float = 1e-3


@dataclass(frozen=True)
class BoundInverse:
    matrix: np.ndarray
    std: np.ndarray
    space: Space
    d_space: Space
    of: str = "xi"

    def __call__(self, data, noise_std):
        mean = np.concatenate([data, np.ones((len(data), 1))], axis=1) @ self.matrix
        return Estimate(mean, np.broadcast_to(self.std, mean.shape))


@dataclass(frozen=True)
class ToyInverse(Trained):
    """Ridge regression from data to xi."""

    matrix: np.ndarray
    std: np.ndarray

    name = "toy-inverse"
    Config = RidgeConfig
    role = Role.INVERSE

    @classmethod
    def learn(cls, lesson):
        a = np.concatenate([lesson.values, np.ones((len(lesson.xi), 1))], axis=1)
        gram = a.T @ a + lesson.config.penalty * np.eye(a.shape[1])
        matrix = np.linalg.solve(gram, a.T @ lesson.xi)
        return cls(lesson.record(cls, {}), matrix, (a @ matrix - lesson.xi).std(axis=0))

    def judge(self, lesson):
        test = lesson.split.test
        bound = self.bind(lesson.problem, lesson.problem.prior(), lesson.dataset.sensors)
        found = bound(lesson.dataset.values[test], lesson.noise_std).mean
        return Judgement(
            {"xi_rms": float(np.sqrt(np.mean((found - lesson.dataset.xi[test]) ** 2)))}
        )

    def arrays(self):
        return {"matrix": self.matrix, "std": self.std}

    @classmethod
    def restored(cls, arrays, record):
        return cls(record, arrays["matrix"], arrays["std"])

    def bind(self, problem, prior, sensors):
        identity = self.record.identity
        identity.check(problem, prior)
        space = identity.observed.space(sensors)
        return BoundInverse(self.matrix, self.std, prior.space, space)


@dataclass(frozen=True)
class Shrinkage:
    """The posterior mean of xi ~ N(0, S) with S diagonal."""

    variance: np.ndarray
    space: Space

    differentiable = True

    @property
    def spread(self):
        return float(np.sqrt(self.variance.max()))

    def __call__(self, noisy, level):
        return noisy * (self.variance / (self.variance + level**2))

    def vjp(self, noisy, level, w):
        return w * (self.variance / (self.variance + level**2))


@dataclass(frozen=True)
class ToyDenoiser(Trained):
    """Componentwise shrinkage with variances of the samples."""

    variance: np.ndarray

    name = "toy-denoiser"
    Config = RidgeConfig
    role = Role.DENOISER

    @classmethod
    def learn(cls, lesson):
        return cls(lesson.record(cls, {}), lesson.xi.var(axis=0))

    def judge(self, lesson):
        return Judgement({"variance": float(self.variance.mean())})

    def arrays(self):
        return {"variance": self.variance}

    @classmethod
    def restored(cls, arrays, record):
        return cls(record, arrays["variance"])

    def bind(self, problem, prior, sensors):
        self.record.identity.check(problem, prior)
        return Shrinkage(self.variance, prior.space)


TOYS = {"toy-inverse": ToyInverse, "toy-denoiser": ToyDenoiser}
TEXTS = {
    name: f"expects a surrogate of role 'forward', got '{name}' of role '{kind.role}'; choose one"
    for name, kind in TOYS.items()
}


class Entry:
    """An entry point of an installed package, whose class lives here."""

    extras = ()

    def __init__(self, name):
        self.name = name

    def load(self):
        return TOYS[self.name]


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    ours = registry.entry_points

    def found(group):
        more = [Entry(name) for name in TOYS] if group == "pdeinv.surrogates" else []
        return [*ours(group=group), *more]

    monkeypatch.setattr(registry, "entry_points", found)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A data set and an observation file of the same sensors."""
    folder = tmp_path_factory.mktemp("files")
    problem = make_problem("darcy", CONFIG)
    sensors = problem.sensors("grid:3x3")
    generate(Plan("darcy", CONFIG, sensors, 60, 4), folder / "data.nc", folder / "run")
    truth = datasets.read(folder / "data.nc").values[0]
    noise = Noise(np.full(9, 0.02 * np.abs(truth).max()))
    data = Observations(problem.observed, truth, sensors, noise)
    netcdf.write(folder / "obs.nc", to_dataset(data, attributes({}, 1)))
    (folder / "run.toml").write_text(
        'problem = {name = "darcy", cells = [8, 8], unknown = {kind = "piecewise", cells = [2, 2], '
        "std = 0.5}}\n"
    )
    return folder


def call(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(params=TOYS)
def trained(request, files):
    """Name and folder of a toy, trained by the command line."""
    out = files / request.param
    if not out.exists():
        done = call("train-surrogate", request.param, "--data", files / "data.nc", "--out", out)
        assert done.exit_code == 0, done.stderr
    return request.param, out


def test_training_stores_and_info_shows_the_role(trained):
    name, folder = trained
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (metadata["surrogate"], metadata["role"]) == (name, str(TOYS[name].role))
    shown = json.loads(call("info", folder, "--json").stdout)
    assert shown["attributes"]["role"] == TOYS[name].role
    assert str(TOYS[name].role) in call("info", folder).stdout


def test_what_is_loaded_binds_to_what_its_role_says(trained, files):
    name, folder = trained
    data, problem = datasets.read(files / "data.nc"), make_problem("darcy", CONFIG)
    bound = load_surrogate(folder).bind(problem, problem.prior(), data.sensors)
    if name == "toy-inverse":
        found = bound(data.values, np.full(9, 0.01))
        assert found.mean.shape == found.std.shape == data.xi.shape
        assert np.corrcoef(found.mean.ravel(), data.xi.ravel())[0, 1] > 0.9
        return
    noisy = data.xi + np.random.default_rng(0).standard_normal(data.xi.shape)
    assert np.mean((bound(noisy, 1.0) - data.xi) ** 2) < 0.7 * np.mean((noisy - data.xi) ** 2)
    w, v = np.eye(4)[:2]
    step = 1e-6 * v
    slope = (bound(noisy[0] + step, 1.0) - bound(noisy[0], 1.0)) / 1e-6
    assert w @ slope == pytest.approx(bound.vjp(noisy[0], 1.0, w) @ v, abs=1e-6)


@pytest.mark.parametrize(
    "flags",
    [("--engine", "two-level"), ("--model", "surrogate", "--engine", "map"), ("--engine", "pcn")],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_invert_refuses_it_before_anything_is_computed(trained, files, flags, dry, tmp_path):
    name, folder = trained
    if name == "toy-inverse" and "pcn" in flags:
        pytest.skip("it begins there")
    config = ("--config", files / "run.toml", "--seed", 1, "--out", tmp_path / "r.nc")
    done = call("invert", files / "obs.nc", "--surrogate", folder, *flags, *config, *dry)
    assert done.exit_code == 2
    own = "engine 'pcn' keeps to the problem's own prior and takes no learned one"
    assert (own if "pcn" in flags else f"invert {TEXTS[name]}") in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def denoiser(files):
    """A toy whose law is a tenth as wide as the prior."""
    data, problem = datasets.read(files / "data.nc"), make_problem("darcy", CONFIG)
    toy = ToyDenoiser.fit(data, problem, RidgeConfig(), 1)
    folder = files / "narrow"
    replace(toy, variance=toy.variance / 100).save(folder)
    return folder


def widths(files, out, *more):
    words = ("--config", files / "run.toml", "--seed", 1, "--out", out, "--engine", "diffpir")
    words = (*words, "--set", "engine.levels=30", "--set", "noise.rel=100", *more)
    done = call("invert", files / "obs.nc", *words)
    assert done.exit_code == 0, done.stderr
    tree = netcdf.read_tree(out)
    return np.asarray(tree["unconstrained_posterior"]["xi"]), str(tree.attrs["pdeinv_message"])


def test_an_engine_of_denoisers_draws_by_the_law_that_it_is_given(denoiser, files, tmp_path):
    learned, said = widths(files, tmp_path / "a.nc", "--surrogate", denoiser)
    own, before = widths(files, tmp_path / "b.nc")
    # the data say nothing, so that draws follow the law: components of sd 0.1, and of 1
    assert np.sqrt(np.mean(learned**2)) < 0.2
    assert 0.5 < np.sqrt(np.mean(own**2)) < 1.5
    assert "with respect to the learned prior" in said
    assert "with respect to the prior of the problem" in before


@pytest.mark.parametrize(
    "engine", ["pnp-dm", "diffpir", "daps", "dps", "fundps", "diffusionpde", "enkg", "red-diff"]
)
def test_every_engine_of_denoisers_takes_it(engine, denoiser, files, tmp_path):
    words = ("--config", files / "run.toml", "--seed", 1, "--out", tmp_path / "r.nc", "--dry-run")
    done = call("invert", files / "obs.nc", "--engine", engine, "--surrogate", denoiser, *words)
    assert done.exit_code == 0, done.stderr


def test_a_law_of_another_prior_is_refused(denoiser, files, tmp_path):
    words = ("--config", files / "run.toml", "--set", "problem.unknown.std=0.7", "--seed", 1)
    flags = ("--engine", "diffpir", "--surrogate", denoiser, "--out", tmp_path / "r.nc")
    done = call("invert", files / "obs.nc", *flags, *words)
    assert done.exit_code == 2
    assert "surrogate was trained for darcy with unknown.std = 0.5, this run has 0.7" in done.stderr
    assert not (tmp_path / "r.nc").exists()


@pytest.mark.filterwarnings("always:the data are unlike")
def test_data_that_a_learned_prior_does_not_foresee_are_told_before_sampling(
    denoiser, files, tmp_path, monkeypatch
):
    words = ("--config", files / "run.toml", "--seed", 1, "--out", tmp_path / "r.nc")
    words = (*words, "--engine", "diffpir", "--set", "engine.levels=10", "--surrogate", denoiser)
    planned = call("invert", files / "obs.nc", *words, "--dry-run", "--json")
    assert json.loads(planned.stdout)["draws of the learned prior, solved for before"] == 100
    done = call("invert", files / "obs.nc", *words, "--json")
    assert done.exit_code == 0, done.stderr
    assert "warning: the data are unlike what the learned prior foresees" in done.stderr
    found = json.loads(done.stdout)
    assert found["summary"]["unlike_training"] == 1
    assert "the data are unlike what the learned prior foresees" in found["message"]
    assert netcdf.read_tree(tmp_path / "r.nc")["prior"].sizes["draw"] == 100
    assert "the data are unlike" in call("info", tmp_path / "r.nc", "--json").stdout
    monkeypatch.setattr(foreseen, "law_draws", None)  # they are kept
    again = call("invert", files / "obs.nc", *words, "--json", "--resume")
    assert again.exit_code == 0, again.stderr
    same = {k: v for k, v in json.loads(again.stdout).items() if "seconds" not in k}
    assert same == {k: v for k, v in found.items() if "seconds" not in k}


def test_check_tells_how_alike_data_are_to_a_learned_prior(trained, denoiser, files):
    def said(folder):
        words = ("--config", files / "run.toml", "--seed", 1, "--json", "--surrogate", folder)
        done = call("check", files / "obs.nc", *words)
        assert done.exit_code == 0, done.stderr
        return {t["test"]: t["value"] for t in json.loads(done.stdout)["tests"]}

    name, folder = trained
    told = "likeness to what was learned"
    if name == "toy-inverse":  # which does not judge that
        assert told not in said(folder)
        return
    assert said(folder)[told] > 0.05
    narrow = said(denoiser)
    assert narrow[told] < 0.05
    assert "the data are unlike" in narrow["note"]


def test_evaluate_takes_an_inverse_and_a_denoiser(trained):
    name, folder = trained
    done = call("evaluate", folder, "--seed", 1)
    if name == "toy-inverse":
        assert done.exit_code == 0, done.stderr
        assert "coverage_90" in done.stdout
        return
    assert done.exit_code == 0, done.stderr
    assert "no more than a Gaussian" in done.stdout


def test_two_level_refuses_to_train_it_on_its_way(trained, files, tmp_path):
    name, _ = trained
    words = ("--set", f"surrogate.name={name}", "--config", files / "run.toml", "--seed", 1)
    done = call("invert", files / "obs.nc", *words, "--out", tmp_path / "r.nc")
    assert done.exit_code == 2
    assert f"two-level {TEXTS[name]}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_two_level_refuses_what_does_not_learn_from_pairs(files, tmp_path):
    words = ("--set", "surrogate.name=latent", "--config", files / "run.toml", "--seed", 1)
    done = call("invert", files / "obs.nc", *words, "--out", tmp_path / "r.nc")
    assert done.exit_code == 2
    assert "surrogate 'latent' cannot be trained on the way: expected one that" in done.stderr
    assert "--surrogate FOLDER" in done.stderr
    wrong = ("--set", "surrogate.options={coarsen=1}", *words[2:])
    done = call("invert", files / "obs.nc", *wrong, "--out", tmp_path / "r.nc")
    assert done.exit_code == 2
    assert "unknown key 'surrogate.options.coarsen'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_ensemble_takes_forward_models_alone(files, tmp_path):
    words = ("train-surrogate", "ensemble", "--data", files / "data.nc", "--out", tmp_path / "e")
    done = call(*words, "--set", "surrogate.member=toy-inverse")
    assert done.exit_code == 2
    assert TEXTS["toy-inverse"] in done.stderr
    assert not (tmp_path / "e").exists()


def test_list_shows_roles(monkeypatch, tmp_path):
    # no descriptions that are kept from a run without the toys
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = {
        e["name"]: e.get("role") for e in json.loads(call("list", "--json").stdout)["surrogates"]
    }
    assert found["toy-inverse"] == "inverse"
    assert found["toy-denoiser"] == "denoiser"
    assert {found[n] for n in found if n not in TOYS} == {"forward", "inverse", "denoiser"}
    assert "denoiser" in call("list", "surrogates").stdout


def test_a_class_without_a_role_is_a_forward_model():
    class Plain:
        name = "plain"

    assert role_of(Plain) is Role.FORWARD
    check_role(Plain, Role.FORWARD, "invert")
    with pytest.raises(CapabilityError, match="role 'inverse', got 'plain' of role 'forward'"):
        check_role(Plain, Role.INVERSE, "estimate")
    with pytest.raises(CapabilityError, match="'plain' cannot be trained on the way"):
        check_pairs(Plain)


def test_a_folder_of_an_earlier_version_holds_a_forward_model(files, tmp_path):
    data, problem = datasets.read(files / "data.nc"), make_problem("darcy", CONFIG)
    kind = registry.load("surrogates", "gp")
    kind.fit(data, problem, kind.Config(iterations=2), 1).save(tmp_path / "s")
    file = tmp_path / "s" / "metadata.json"
    metadata = json.loads(file.read_text())
    assert metadata.pop("role") == "forward"
    file.write_text(json.dumps(metadata))
    assert load_surrogate(tmp_path / "s").metadata["role"] == "forward"
    assert (
        json.loads(call("info", tmp_path / "s", "--json").stdout)["attributes"]["role"] == "forward"
    )
