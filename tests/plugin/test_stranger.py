"""A stranger's package: installed into an environment that sees ours, it works in every verb.

The package is ``examples/plugin``; nothing of pdeinv knows it.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import xarray as xr

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parents[2] / "examples" / "plugin"
MOST_LINES = 150
"""What the problem may take, its solver included; blank lines do not count."""

NEW = {"problems": "tracer", "engines": "random-walk", "surrogates": "quadratic"}
ENGINES = {
    "map": (),
    "pcn": ("draws=60", "warmup=40", "chains=2"),
    "eki": ("ensemble_size=40",),
    "random-walk": ("draws=60", "warmup=40", "chains=2"),
}


def environment(folder):
    """A new virtual environment whose packages are ours, then the plug-in."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    ours = sysconfig.get_path("purelib")
    Path(packages, "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    # MPI is found beside the interpreter of the environment that it was installed into
    variables = {**os.environ, "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
    source = folder / "source"
    subprocess.run(["cp", "-r", str(PACKAGE), str(source)], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", source],
        check=True,
        env=variables,
    )
    return python, variables


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Runs ``pdeinv`` in that environment, in one folder for all tests; returns what it printed."""
    folder = tmp_path_factory.mktemp("stranger")
    python, variables = environment(folder / "env")
    work = folder / "work"
    work.mkdir()

    def run(*words, code=0):
        command = [python, "-m", "pdeinv", *map(str, words)]
        done = subprocess.run(
            command, cwd=work, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    run.work = work
    run("solve", "tracer", "--seed", 1, "--out", "truth.nc")
    run("observe", "truth.nc", "--noise-rel", 0.02, "--seed", 2, "--out", "obs.nc",
        "--sensors", "grid:3@1:12:12")  # fmt: skip
    run("generate", "--obs", "obs.nc", "--n", 120, "--seed", 4, "--out", "data.nc")
    return run


def settings(*pairs):
    return [word for pair in pairs for word in ("--set", f"engine.{pair}")]


def test_the_problem_is_short():
    text = (PACKAGE / "pdeinv_tracer" / "problem.py").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", NEW.values())
def test_it_passes_the_conformance_kit(name, stranger):
    found = json.loads(stranger("check", "--plugin", name, "--json").stdout)
    assert found["ok"]


def test_it_is_listed(stranger):
    found = json.loads(stranger("list", "--json").stdout)
    names = {kind: {entry["name"] for entry in found[kind]} for kind in NEW}
    assert all(name in names[kind] for kind, name in NEW.items())


def test_its_data_and_derivatives_are_checked(stranger):
    stranger("check", "obs.nc")


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_inverted_scored_and_drawn(engine, stranger):
    out = f"{engine}.nc"
    stranger("invert", "obs.nc", "--engine", engine, "--seed", 3, "--out", out,
             *settings(*ENGINES[engine]))  # fmt: skip
    with xr.open_datatree(stranger.work / out) as tree:
        assert {"velocity", "dispersion", "release"} <= set(tree["posterior"].data_vars)
    found = json.loads(stranger("score", out, "--truth", "truth.nc", "--json").stdout)
    assert found["scores"]["rel-l2"] < 1
    stranger("plot", out, "--truth", "truth.nc", "--out", f"{engine}.png")
    assert (stranger.work / f"{engine}.png").stat().st_size > 10_000


def test_the_best_fit_is_close_to_the_truth(stranger):
    stranger("invert", "obs.nc", "--engine", "map", "--seed", 3, "--out", "best.nc")
    found = json.loads(stranger("score", "best.nc", "--truth", "truth.nc", "--json").stdout)
    assert found["scores"]["rel-l2"] < 0.1


def test_two_level_trains_on_its_way(stranger):
    stranger("invert", "obs.nc", "--engine", "two-level", "--seed", 3, "--out", "two.nc",
             *settings("draws=20", "warmup=5", "chains=2", "tuning=100"),
             "--set", "surrogate.target_sd=3")  # fmt: skip


@pytest.mark.parametrize("name", ["latent", "quadratic"])
def test_a_surrogate_is_trained_evaluated_and_inverted_with(name, stranger):
    options = ("--set", "surrogate.epochs=150") if name == "latent" else ()
    stranger("train-surrogate", name, "--data", "data.nc", "--seed", 5, "--out", name, *options)
    stranger("evaluate", name, "--obs", "obs.nc", "--out", f"{name}-evaluation.nc")
    stranger("invert", "obs.nc", "--model", "surrogate", "--surrogate", name, "--engine", "map",
             "--seed", 6, "--out", f"{name}-map.nc")  # fmt: skip


def test_wrong_sensors_are_one_line(stranger):
    done = stranger("observe", "truth.nc", "--sensors", "grid:x", "--noise-rel", 0.02, "--seed", 2,
                    "--out", "wrong.nc", code=2)  # fmt: skip
    assert done.stderr.count("\n") == 1
    assert not (stranger.work / "wrong.nc").exists()
