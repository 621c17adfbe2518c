"""A run that goes on has the inputs it began with; a refusal or early failure leaves no trace.

What decides the numbers is guarded from the first second: seed, prior, noise, data, surrogate, and
every file that the problem names.
"""

import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import RunFailed
from pdeinv.io import netcdf
from pdeinv.io.runs import make_run_folder

pytestmark = pytest.mark.usefixtures("solves_here")

RAINY = """
[problem]
name = "darcy"
cells = 8
source = { file = "rain.nc", variable = "rain" }

[problem.unknown]
kind = "log-gaussian"
modes = 4
grid = [9, 9]
"""


def rain(amount):
    x = np.linspace(0, 1, 5)
    dataset = xr.Dataset({"rain": (("y", "x"), amount * np.ones((5, 5)))}, {"x": x, "y": x})
    dataset.to_netcdf("rain.nc")


@pytest.fixture
def rainy(work, call):
    """A problem whose source stands in a file, with observations."""
    rain(1.0)
    (work / "rain.toml").write_text(RAINY)
    words = ("solve", "--config", "rain.toml", "--seed", 1, "--out", "wet.nc")
    assert call(*words).exit_code == 0
    seen = ("observe", "wet.nc", "--sensors", "grid:3x3", "--noise-rel", 0.1, "--seed", 2)
    assert call(*seen, "--out", "seen.nc").exit_code == 0
    return work


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(result, folder, before, named):
    assert result.exit_code == 2, result.stderr
    assert "to another configuration, seed" in result.stderr
    assert named in result.stderr
    assert contents(folder) == before


PCN = ("--engine", "pcn", "--set", "engine.warmup=5", "--set", "engine.thin=1",
       "--set", "engine.chains=2", "--set", "engine.searches=0")  # fmt: skip


def test_another_file_behind_the_problem_is_refused(call, rainy):
    words = {
        "d.nc": ("generate", "--config", "rain.toml", "--sensors", "grid:3x3", "--n", 20,
                 "--seed", 3, "--out", "d.nc"),
        "r.nc": ("invert", "seen.nc", *PCN, "--draws", 20, "--seed", 3, "--out", "r.nc"),
    }  # fmt: skip
    for out, command in words.items():
        done = call(*command)
        assert done.exit_code == 0, done.stderr
        assert "rain.nc:sha256=" in netcdf.read_tree(rainy / out).attrs["pdeinv_inputs"]
    assert "rain.nc:sha256=" in netcdf.read_tree(rainy / "wet.nc").attrs["pdeinv_inputs"]
    rain(2.0)
    before = contents(rainy)
    for command in words.values():
        refused(call(*command, "--resume"), rainy, before, "sha256 of rain.nc was ")
    rain(1.0)
    for command in words.values():  # negative control
        done = call(*command, "--resume")
        assert done.exit_code == 0, done.stderr


@pytest.fixture
def surrogate(call, work):
    """A poor one, and another in its place."""

    def trained(seed, out):
        words = ("train-surrogate", "latent", "--data", "data.nc", "--set", "surrogate.epochs=1")
        assert call(*words, "--seed", seed, "--out", out, "--overwrite").exit_code == 0

    words = ("generate", "--obs", "obs.nc", "--n", 30, "--seed", 4, "--out", "data.nc")
    assert call(*words).exit_code == 0
    trained(1, "S")
    return lambda: trained(2, "S")


def test_another_surrogate_in_the_folder_is_refused(call, work, surrogate):
    words = ("invert", "obs.nc", *PCN, "--draws", 10, "--seed", 1, "--out", "r.nc",
             "--surrogate", "S", "--set", "model=surrogate")  # fmt: skip
    assert call(*words).exit_code == 0
    surrogate()
    before = contents(work)
    refused(call(*words, "--resume"), work, before, "sha256 of the surrogate was ")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("--seed=9", ": seed was 1, is 9;"),
        ("--noise-std=0.3", ": noise_std was not set, is 0.3;"),
        ("--data=more.nc", ": sha256 of the data was "),
    ],
)
def test_another_training_is_refused_before_its_first_checkpoint(
    other, named, call, work, surrogate
):
    made = ("generate", "--obs", "obs.nc", "--n", 31, "--seed", 4, "--out", "more.nc")
    assert call(*made).exit_code == 0
    words = ("train-surrogate", "latent", "--data", "data.nc", "--seed", 1, "--out", "T",
             "--set", "surrogate.epochs=1")  # fmt: skip
    assert call(*words).exit_code == 0
    for file in (work / "T.run").glob("training*"):
        file.unlink()
    before = contents(work)
    refused(call(*words, *other.split("="), "--resume"), work, before, named)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (("--set", "problem.unknown.modes=3"), ": problem.unknown.modes was 4, is 3;"),
        (("--noise-rel", 0.3), ": noise.rel was not set, is 0.3;"),
        (("--seed", 8), ": seed was 1, is 8;"),
    ],
)
def test_another_run_is_refused_before_its_first_checkpoint(other, named, call, work):
    words = ("invert", "obs.nc", *PCN, "--draws", 10, "--seed", 1, "--out", "r.nc")
    assert call(*words).exit_code == 0
    for name in ("run.json", *(p.name for p in (work / "r.nc.run").glob("chain*"))):
        (work / "r.nc.run" / name).unlink()
    before = contents(work)
    refused(call(*words, *other, "--resume"), work, before, named)


RUNS = {
    "invert": ("invert", "obs.nc", *PCN, "--draws", 10, "--seed", 1),
    "generate": ("generate", "--config", "small.toml", "--sensors", "grid:3x3", "--n", 4,
                 "--seed", 1),
    "train-surrogate": ("train-surrogate", "latent", "--data", "data.nc", "--seed", 1,
                        "--set", "surrogate.epochs=1"),
    "solve": ("solve", "--config", "small.toml", "--seed", 1, "--solver", "pinn",
              "--set", "solver.adam_steps=1", "--set", "solver.newton_steps=1"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "other", "named"),
    [
        ("invert", "engine.beta=0.9", ": engine.beta was 0.2, is 0.9;"),
        ("generate", "problem.unknown.std=2.0", ": problem.unknown.std was 1.0, is 2.0;"),
        ("train-surrogate", "surrogate.batch_size=7", ": surrogate.batch_size was 64, is 7;"),
        ("solve", "solver.width=17", ": solver.width was 16, is 17;"),
    ],
)
def test_what_differs_from_the_checkpoints_is_named(verb, other, named, call, work, surrogate):
    assert call(*RUNS[verb], "--out", "o").exit_code == 0
    before = contents(work)
    result = call(*RUNS[verb], "--set", other, "--out", "o", "--resume")
    assert result.exit_code == 2
    assert named in result.stderr
    assert contents(work) == before


@pytest.mark.parametrize("resume", [(), ("--resume",)])
@pytest.mark.parametrize("verb", RUNS)
def test_what_a_kill_in_the_first_second_leaves_is_in_nobodys_way(
    verb, resume, call, work, surrogate
):
    make_run_folder(work / "o.run")
    for name in (".o.lock", "o.run/decides.json", "o.run/run.json", "o.run/plan.npz"):
        (work / name).write_text("{}")
    for name in (".o.abcd_123", ".o.run.abcd_123", "o.run/.config.toml.abcd_123"):
        (work / name).mkdir()
    if resume:  # what is begun is complete: each file is written at once
        for name in ("decides.json", "run.json", "plan.npz"):
            (work / "o.run" / name).unlink()
    done = call(*RUNS[verb], *resume, "--out", "o")
    assert done.exit_code == 0, done.stderr
    assert not list(work.rglob(".*"))


def test_a_run_folder_with_progress_is_not_begun_anew_unasked(call, work):  # negative control
    assert call(*RUNS["invert"], "--out", "o").exit_code == 0
    (work / "o").unlink()
    result = call(*RUNS["invert"], "--out", "o")
    assert result.exit_code == 2
    assert "o.run already exists; add --overwrite or --resume" in result.stderr


FAILING = {
    "invert": (("invert", "obs.nc", *PCN, "--draws", 5, "--seed", 1), "pdeinv.jobs.invert.run.run"),
    "generate": (
        ("generate", "--obs", "obs.nc", "--n", 4, "--seed", 1),
        "pdeinv.jobs.generate.run._solve_missing",
    ),
    "solve": (
        ("solve", "--config", "small.toml", "--seed", 1, "--solver", "pinn",
         "--set", "solver.adam_steps=1", "--set", "solver.newton_steps=1"),
        "pdeinv.surrogates.pinn.forward.solve",
    ),
}  # fmt: skip


@pytest.mark.parametrize("error", [RunFailed("planted"), KeyboardInterrupt()])
@pytest.mark.parametrize("verb", FAILING)
def test_an_early_failure_leaves_nothing_in_the_way_of_a_repeat(
    verb, error, call, work, monkeypatch
):
    words, place = FAILING[verb]

    def fail(*_args, **_kwargs):
        raise error

    before = contents(work)
    with monkeypatch.context() as planted:
        planted.setattr(place, fail)
        assert call(*words, "--out", "o.nc").exit_code != 0
    assert contents(work) == before
    done = call(*words, "--out", "o.nc")
    assert done.exit_code == 0, done.stderr
