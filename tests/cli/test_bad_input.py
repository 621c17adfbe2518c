"""Every kind of bad input: one clear line, exit code 2, nothing written."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytestmark = pytest.mark.usefixtures("solves_here")


def edited(change):
    """obs.nc with one thing made wrong."""
    with xr.open_dataset("obs.nc") as dataset:
        good = dataset.load()
    change(good).to_netcdf("bad.nc")
    return "bad.nc"


def _set(name, values=None, **attrs):
    def change(dataset):
        if values is not None:
            dataset[name] = dataset[name].copy(data=values(dataset[name].values))
        dataset[name].attrs.update(attrs)
        return dataset

    return change


def _truncated():
    data = Path("obs.nc").read_bytes()
    Path("bad.nc").write_bytes(data[: len(data) // 2])
    return "bad.nc"


def _toml(text):
    Path("run.toml").write_text(text)
    return ("obs.nc", "--config", "run.toml")


def _outside(x):
    return np.where(np.arange(x.size) == 3, 1.7, x)


INVERT = {
    "missing file": (lambda: ("none.nc",), "no such file: none.nc"),
    "truncated NetCDF": (lambda: (_truncated(),), "bad.nc as NetCDF-4; it is truncated"),
    "no noise": (
        lambda: (edited(lambda d: d.drop_vars("u_sigma")),),
        "no noise given for 'u'; add a variable 'u_sigma' or pass --noise-std",
    ),
    "negative sigma": (
        lambda: (edited(_set("u_sigma", lambda s: -s)),),
        "'u_sigma' must be positive and finite at every good datum; datum 0",
    ),
    "nothing but NaN": (
        lambda: (edited(_set("u", lambda u: u * np.nan)),),
        "no usable datum of 'u': all 9 are missing or flagged",
    ),
    "wrong units": (
        lambda: (edited(_set("u", units="cm")),),
        "'u' has units 'cm', the problem works in 'm'",
    ),
    "no units": (
        lambda: (edited(lambda d: d.assign(u=d.u.drop_attrs())),),
        "'u' has no units attribute",
    ),
    "sensor outside": (lambda: (edited(_set("x", _outside)),), "outside the domain"),
    "a truth file": (lambda: ("truth.nc",), "got a file of kind 'truth'"),
    "unknown key": (lambda: _toml("[engine]\nname='pcn'\nbeat=0.1"), "did you mean 'beta'?"),
    "unknown table": (lambda: _toml("[engin]\nname='pcn'"), "did you mean 'engine'?"),
    "not TOML": (lambda: _toml("[engine\n"), "run.toml is not valid TOML"),
    "wrong type": (lambda: _toml("[engine]\nname='pcn'\ndraws='many'"), "engine.draws:"),
    "missing TOML": (lambda: ("obs.nc", "--config", "no.toml"), "configuration no.toml"),
    "unknown engine": (lambda: ("obs.nc", "--engine", "pcm"), "unknown engine 'pcm'; did you mean"),
    "two noises": (lambda: ("obs.nc", "--noise-rel", 0.1, "--noise-std", 1), "give the noise once"),
    "negative noise": (
        lambda: ("obs.nc", "--noise-std", "nan"),
        "error: --noise-std: input should be greater than 0 (got nan)",
    ),
    "no time": (
        lambda: ("obs.nc", "--max-seconds", 0),
        "error: --max-seconds: input should be greater than 0 (got 0.0)",
    ),
    "negative noise by its key": (
        lambda: ("obs.nc", "--set", "noise.std=-1"),
        "error: noise.std: input should be greater than 0 (got -1)",
    ),
    "malformed --set": (lambda: ("obs.nc", "--set", "engine.draws"), "expected KEY=VALUE"),
    "unknown option": (lambda: ("obs.nc", "--drows", 5), "No such option: --drows"),
    "no surrogate there": (
        lambda: ("obs.nc", "--engine", "two-level", "--surrogate", "none"),
        "no such surrogate folder: none",
    ),
    "a file for a surrogate": (
        lambda: ("obs.nc", "--engine", "two-level", "--surrogate", "obs.nc"),
        "obs.nc is a file, and a surrogate is a folder; give the --out of 'train-surrogate'",
    ),
    "another problem": (lambda: ("obs.nc", "--problem", "heat"), "holds data of problem 'darcy'"),
    "no such folder": (lambda: ("obs.nc", "--out", "no/such/out.nc"), "does not exist"),
}


def _check(result, before, message):
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    after = {p.name for p in Path().iterdir()}
    assert after - before <= {"bad.nc", "run.toml"}


def test_a_taken_output_is_all_that_is_said_of_an_inversion(call, work):
    words = ("invert", edited(_set("u", lambda u: np.where(u == u.max(), np.nan, u))),
             "--seed", 1, "--dry-run", "--out", "out.nc")  # fmt: skip
    assert "note: bad.nc: 1 missing or flagged data dropped" in call(*words).stderr
    (work / "out.nc").write_text("")
    refused = call(*words)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: out.nc already exists")


@pytest.mark.parametrize("case", INVERT)
def test_invert_refuses(case, call, work):
    make, message = INVERT[case]
    before = {p.name for p in work.iterdir()}
    words = make()
    out = () if "--out" in words else ("--out", "out.nc")
    _check(call("invert", *words, *out, "--seed", 1), before, message)


OTHERS = {
    "solve: unknown problem": (("solve", "dracy", "--out", "o.nc"), "did you mean 'darcy'?"),
    "solve: no problem": (("solve", "--out", "o.nc"), "no problem named"),
    "solve: unknown key": (
        ("solve", "darcy", "--set", "problem.cell=9", "--out", "o.nc"),
        "did you mean 'cells'?",
    ),
    "solve: m of another shape": (
        ("solve", "darcy", "--m", "truth.nc", "--out", "o.nc"),
        "variable 'conductivity': expected 33 entries along 'y', got 9; interpolate it",
    ),
    "observe: no noise": (
        ("observe", "truth.nc", "--sensors", "grid:3x3", "--out", "o.nc"),
        "no noise given; pass --noise-std",
    ),
    "observe: no sensors": (
        ("observe", "truth.nc", "--noise-rel", 0.1, "--out", "o.nc"),
        "no sensors given",
    ),
    "observe: not a truth": (
        ("observe", "obs.nc", "--sensors", "grid:3x3", "--noise-rel", 0.1, "--out", "o.nc"),
        "expected the output of 'pdeinv solve', got a file of kind 'observations'",
    ),
    "observe: another problem": (
        (
            "observe",
            "truth.nc",
            "--set",
            "problem.name='heat'",
            "--sensors",
            "all",
            "--out",
            "o.nc",
        ),
        "truth.nc is of problem 'darcy', and [problem] names 'heat'",
    ),
    "observe: sensor outside": (
        ("observe", "truth.nc", "--sensors", "list:0.5,1.5", "--noise-rel", 0.1, "--out", "o.nc"),
        "outside the domain",
    ),
    "generate: no sensors": (("generate", "darcy", "--n", 2, "--out", "o.nc"), "no sensors given"),
    "generate: bad grid": (
        ("generate", "--obs", "obs.nc", "--n", 2, "--grid", "9x", "--out", "o.nc"),
        "expected ROWSxCOLS",
    ),
    "generate: not a result": (
        ("generate", "--obs", "obs.nc", "--n", 2, "--around", "obs.nc", "--out", "o.nc"),
        "no whitened draws",
    ),
    "train: not a data set": (
        ("train-surrogate", "multifidelity", "--data", "obs.nc", "--out", "o"),
        "expected the output of 'pdeinv generate'",
    ),
    "train: absent device": (
        (
            "train-surrogate",
            "multifidelity",
            "--data",
            "obs.nc",
            "--device",
            "cuda:99",
            "--out",
            "o",
        ),
        "device 'cuda:99' is not available: torch sees",
    ),
    "train: no such kind of device": (
        ("train-surrogate", "multifidelity", "--data", "obs.nc", "--device", "tpu", "--out", "o"),
        "--device must be cpu or cuda, got 'tpu'",
    ),
    "train: unknown surrogate": (
        ("train-surrogate", "multifidelty", "--data", "obs.nc", "--out", "o"),
        "did you mean 'multifidelity'?",
    ),
    "plot: suffix": (("plot", "obs.nc", "--out", "o.gif"), "expected a name that ends in .png"),
    "plot: not NetCDF": (("plot", "small.toml", "--out", "o.png"), "cannot read small.toml"),
    "info: missing": (("info", "nothing"), "no such file or folder: nothing"),
    "info: unknown folder": (("info", "."), "is a folder of no known kind"),
    "check: unknown problem": (("check", "dracy"), "did you mean 'darcy'?"),
    "config: unknown schema": (("config", "schema", "engins/pcn"), "unknown schema 'engins/pcn'"),
    "list: unknown kind": (("list", "engine"), "unknown kind 'engine'"),
    "unknown verb": (("inverse", "obs.nc"), "No such command 'inverse'. Did you mean 'invert'?"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_verbs_refuse(case, call, work):
    words, message = OTHERS[case]
    before = {p.name for p in work.iterdir()}
    _check(call(*words), before, message)


@pytest.fixture(scope="module")
def surrogate(small, call, tmp_path_factory):
    """A surrogate of the small problem, for its own sensors."""
    folder = tmp_path_factory.mktemp("surrogate")
    data, out = folder / "data.nc", folder / "ckpt"
    words = ("generate", "--obs", small / "obs.nc", "--n", 30, "--seed", 1, "--out", data)
    assert call(*words).exit_code == 0
    words = ("train-surrogate", "multifidelity", "--data", data, "--seed", 1, "--out", out)
    assert call(*words).exit_code == 0
    return out


FOREIGN = {
    "problem": ("--set", "problem.source=2.0"),
    "prior": ("--set", "problem.unknown.std=0.5"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_surrogate_of_another_problem_is_refused(what, call, work, surrogate):
    before = {p.name for p in work.iterdir()}
    words = ("invert", "obs.nc", "--engine", "two-level", "--surrogate", surrogate, "--seed", 1)
    result = call(*words, *FOREIGN[what], "--out", "o.nc")
    _check(result, before, "surrogate was trained for darcy with")


def test_a_surrogate_of_other_sensors_is_refused(call, work, surrogate):
    words = ("observe", "truth.nc", "--sensors", "grid:4x4", "--noise-rel", 0.1, "--seed", 1)
    assert call(*words, "--out", "other.nc").exit_code == 0
    before = {p.name for p in work.iterdir()}
    words = ("invert", "other.nc", "--engine", "two-level", "--surrogate", surrogate, "--seed", 1)
    _check(call(*words, "--out", "o.nc"), before, "sensor")


def test_a_damaged_surrogate_is_refused(call, work, surrogate):
    shutil.copytree(surrogate, "damaged")
    weights = Path("damaged/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:50])
    before = {p.name for p in work.iterdir()}
    words = ("invert", "obs.nc", "--engine", "two-level", "--surrogate", "damaged", "--seed", 1)
    _check(call(*words, "--out", "o.nc"), before, "safetensors")


TABLES = {
    "surrogate.nmae": (
        ("--engine", "map", "--set", "surrogate.nmae=gp"),
        "unknown key 'surrogate.nmae'; did you mean 'name'",
    ),
    "surrogate.epohcs": (
        ("--engine", "map", "--set", "surrogate.name=latent", "--set", "surrogate.epohcs=3"),
        "unknown key 'surrogate.epohcs'; did you mean 'epochs'",
    ),
    "surrogate.name": (
        ("--engine", "map", "--set", "surrogate.name=latnet", "--set", "surrogate.epochs=3"),
        "did you mean 'latent'",
    ),
    "surrogate.roundsize": (
        ("--engine", "two-level", "--set", "surrogate.roundsize=30"),
        "unknown key 'surrogate.roundsize'; did you mean 'round_size'",
    ),
    "what two-level cannot train": (
        ("--engine", "two-level", "--set", "surrogate.name=gp"),
        "expected one that learns from a few solves",
    ),
    "solver.name": (("--set", "solver.name=pin"), "unknown solver 'pin'; expected fenicsx or pinn"),
    "solver.widht": (
        ("--set", "solver.widht=3"),
        "unknown key 'solver.widht'; did you mean 'width'",
    ),
    "engine.beta": (
        ("--engine", "hmc", "--set", "engine.beta=0.1"),
        "unknown key 'engine.beta': engine 'hmc' does not have it, 'pcn' does; ",
    ),
    "engine.max_iteration": (
        ("--engine", "map", "--set", "engine.max_iteration=9"),
        "unknown key 'engine.max_iteration'; did you mean 'max_iterations'?",
    ),
    "engine.walkers": (
        ("--set", "engine.walkers=40"),
        "unknown key 'engine.walkers': engine 'two-level' does not have it, 'emcee', 'pnp-dm' do; ",
    ),
    "problem.frequencies": (
        ("--set", "problem.frequencies=[1.0]"),
        "unknown key 'problem.frequencies': problem 'darcy' does not have it, 'helmholtz' does",
    ),
    "surrogate.epochs": (
        ("--engine", "map", "--set", "surrogate.name=gp", "--set", "surrogate.epochs=3"),
        "unknown key 'surrogate.epochs': surrogate 'gp' does not have it, 'deeponet', ",
    ),
    "surrogate.tune_points": (
        ("--engine", "two-level", "--set", "surrogate.tune_points=3"),
        "unknown key 'surrogate.tune_points': it is an option of surrogate 'multifidelity'; write "
        "surrogate.options.tune_points",
    ),
    "solver.penalty": (("--set", "solver.penalty=3"), "unknown key 'solver.penalty'"),
    "engine.explorers": (
        ("--set", "engine.explorers=4"),
        "unknown key 'engine.explorers'; table [surrogate] has a key of that name: move it there",
    ),
    "engine.round_size": (
        ("--set", "engine.round_size=4"),
        "unknown key 'engine.round_size'; table [surrogate] has",
    ),
    "engine.moves": (
        ("--set", "engine.moves=4"),
        " do; table [surrogate] has a key of that name: move it there, or remove it",
    ),
    "engine.cells": (
        ("--engine", "map", "--set", "engine.cells=4"),
        "unknown key 'engine.cells'; tables [problem] (of 'darcy', 'eit', 'flame' and ",
    ),
    "engine.rel": (
        ("--engine", "map", "--set", "engine.rel=0.1"),
        "unknown key 'engine.rel'; table [noise] has",
    ),
    "noise.draws": (
        ("--engine", "map", "--set", "noise.draws=4"),
        "unknown key 'noise.draws'; table [engine] (of 'emcee', 'gaussian', 'hmc' and ",
    ),
    "engine.seconds": (
        ("--engine", "map", "--set", "engine.seconds=4"),
        "unknown key 'engine.seconds'; table [budget] has",
    ),
    "problem.tolerance": (
        ("--set", "problem.tolerance=4"),
        "unknown key 'problem.tolerance'; tables [engine] (of 'cma', ",
    ),
    "problem.kind": (
        ("--set", "problem.kind='two-phase'"),
        "unknown key 'problem.kind'; did you mean 'problem.boundary.kind' or "
        "'problem.unknown.kind'?",
    ),
    "problem.grid": (
        ("--set", "problem.grid=[9, 9]"),
        "unknown key 'problem.grid'; did you mean 'problem.unknown.grid'?",
    ),
    "noise.seed": (
        ("--set", "noise.seed=4"),
        "unknown key 'noise.seed'; 'seed' is a key of the run file itself: write it above all",
    ),
    "budget.workers": (
        ("--set", "budget.workers=4"),
        "unknown key 'budget.workers'; 'workers' is a key of the run file itself",
    ),
    "problem.workers": (
        ("--set", "problem.workers=4"),
        "unknown key 'problem.workers'; 'workers' is a key of the run file itself",
    ),
    "problem.model": (
        ("--set", "problem.model='surrogate'"),
        " do; 'model' is a key of the run file itself: write it above all tables",
    ),
    "problem.unknown.starts": (
        ("--engine", "map", "--set", "problem.unknown.starts=2"),
        "'problem.unknown.starts'; table [engine] (of 'database', 'laplace', 'map') has a key",
    ),
    "engine.surrogate": (
        ("--engine", "map", "--set", "engine.surrogate.name='gp'"),
        "key 'engine.surrogate'; [surrogate] is a table of its own: write it beside [engine]",
    ),
    "problem.engine": (
        ("--set", "problem.engine.name='map'"),
        "unknown key 'problem.engine'; [engine] is a table of its own: write it beside [problem]",
    ),
    "engine": (
        ("--set", "engine=hmc"),
        "engine: expected a table, got 'hmc'; write engine.name = 'hmc'",
    ),
    "problem": (
        ("--set", "problem=darcy"),
        "problem: expected a table, got 'darcy'; write problem.name = 'darcy'",
    ),
    "surrogate": (
        ("--set", "surrogate=gp"),
        "surrogate: expected a table, got 'gp'; write surrogate.name = 'gp'",
    ),
    "problem.unknown": (
        ("--set", "problem.unknown=log-gaussian"),
        "problem.unknown: expected a table, got 'log-gaussian'; write problem.unknown.kind = "
        "'log-gaussian'",
    ),
    "noise": (("--set", "noise=0.1"), "noise: expected a table, got 0.1"),
}


@pytest.mark.parametrize("what", TABLES)
def test_unknown_keys_of_other_tables_are_refused_before_any_solve(what, call, work, monkeypatch):
    from pdeinv.model.reference import ReferenceModel

    def solved(*_, **__):
        raise AssertionError("something was solved")

    monkeypatch.setattr(ReferenceModel, "__call__", solved)
    monkeypatch.setattr(ReferenceModel, "linearize", solved)
    before = {p.name for p in work.iterdir()}
    flags, text = TABLES[what]
    _check(call("invert", "obs.nc", *flags, "--seed", 1, "--out", "o.nc"), before, text)


def test_tables_of_other_verbs_may_stand_in_a_run_file(call, work):
    Path("run.toml").write_text(
        '[engine]\nname = "map"\n[surrogate]\nname = "latent"\nepochs = 3\n'
        '[solver]\nname = "pinn"\nwidth = 4\n'
    )
    words = ("invert", "obs.nc", "--config", "run.toml", "--seed", 1, "--dry-run", "--out", "o.nc")
    assert call(*words).exit_code == 0


WRITERS = {
    "solve": ("solve", "darcy", "--out"),
    "observe": ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--out"),
    "generate": ("generate", "--obs", "obs.nc", "--n", 2, "--out"),
    "invert": ("invert", "obs.nc", "--engine", "map", "--out"),
    "plot": ("plot", "obs.nc", "--out"),
}


@pytest.mark.parametrize("verb", WRITERS)
def test_an_existing_output_is_refused_and_left_alone(verb, call, work):
    out = work / "taken.png"
    out.write_text("precious")
    before = {p.name for p in work.iterdir()}
    result = call(*WRITERS[verb], out)
    _check(result, before, "already exists; add --overwrite")
    assert out.read_text() == "precious"


def test_with_json_the_error_is_one_object_on_stdout(call, work):
    result = call("invert", "none.nc", "--out", "o.nc", "--json")
    found = json.loads(result.stdout)
    assert found["schema"] == 1
    assert found["error"]["type"] == "DataSchemaError"
    assert found["error"]["exit_code"] == result.exit_code == 2
    assert found["error"]["message"] == result.stderr.strip().removeprefix("error: ")


def test_a_usage_error_is_an_object_too(call):
    result = call("invert", "--nonsense", "--json")
    assert json.loads(result.stdout)["error"]["type"] == "UsageError"
    assert result.exit_code == 2


def test_debug_shows_where_an_error_came_from(call, work):
    with pytest.raises(Exception, match="no such file") as caught:
        call("info", "none.nc", "--debug")
    assert type(caught.value).__name__ == "DataSchemaError"


def test_a_bug_is_not_hidden(call, work, monkeypatch):
    monkeypatch.setattr("pdeinv.jobs.info.describe", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("info", "obs.nc")


WALLS = ", ".join(f'{side} = {{kind = "flux"}}' for side in ("left", "right", "bottom", "top"))
UNSOLVABLE = {
    "mesh too coarse for the wave": (
        ("helmholtz", "--set", "problem.frequencies=[100.0]"), "nodes per wavelength .* too few",
    ),
    "source file that is not there": (
        ("darcy", "--set", 'problem.source={file="no.nc"}'), "no such file: no.nc",
    ),
    "no head": (
        ("darcy", "--set", f"problem.boundary={{{WALLS}}}"),
        "no boundary side holds a Dirichlet condition",
    ),
    "conductivity below zero": (
        ("heat", "--set", "problem.cells=4", "--set", 'problem.conductivity="x-0.5"'),
        "the conductivity must be positive; at",
    ),
    "no coarser mesh": (
        ("darcy", "--level=-1", "--set", "problem.cells=5"), "5 x 5 cells cannot be coarsened",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSOLVABLE)
def test_a_dry_run_refuses_what_the_run_refuses(name, call, work):
    words, message = UNSOLVABLE[name]
    for more in (("--dry-run",), ()):
        failed = call("solve", *words, "--seed", 1, "--out", "o.nc", *more)
        assert failed.exit_code == 2
        assert re.search(message, failed.stderr)
        assert len(failed.stderr.strip().splitlines()) == 1
    assert not Path("o.nc").exists()


def test_a_dry_run_of_generate_builds_its_model(call, work):
    words = ("--set", "problem.frequencies=[100.0]", "--sensors", "ring:8", "--n", 2, "--dry-run")
    failed = call("generate", "helmholtz", *words, "--seed", 1, "--out", "o.nc")
    assert failed.exit_code == 2
    assert "nodes per wavelength" in failed.stderr


@pytest.mark.parametrize(
    ("key", "home"),
    [
        ("tolerance", "'engine.tolerance'"),
        ("draws", "'engine.draws'"),
        ("cells", "'problem.cells'"),
        ("epochs", "'surrogate.epochs'"),
        ("tapper", "remove it"),
    ],
)
def test_a_key_without_its_table_is_told_the_table(key, home, call, work):
    failed = call("invert", "obs.nc", "--engine", "map", "--set", f"{key}=1", "--out", "o.nc")
    assert failed.exit_code == 2
    assert re.search(rf"unknown key '{key}'; .*{home}", failed.stderr)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("gaussian", "needs data that are linear in a Gaussian unknown"),
        ("d-bar", "needs problem eit with model 'continuum'"),
        ("emcee", "handles at most 20 unknowns"),
    ],
)
def test_a_dry_run_asks_the_engine_itself(engine, message, call, work):
    more = ("--set", "problem.unknown.modes=21") if engine == "emcee" else ()
    words = ("invert", "obs.nc", "--engine", engine, *more, "--seed", 1, "--out", "o.nc")
    for dry in (("--dry-run",), ()):
        failed = call(*words, *dry)
        assert failed.exit_code == 2
        assert message in failed.stderr
