"""A model of one's own on the command line: imported by the flag alone, recorded, checked."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pdeinv.plugins import own_declared

SOURCE = """
import numpy as np
import pdeinv

A = np.array([[1.0, 2.0], [0.5, -1.0], [1.0, 1.0]])


def forward(m):
    return FACTOR * A @ m


def jacobian(m):
    return FACTOR * A


def build():
    prior = [pdeinv.priors.normal("a"), pdeinv.priors.normal("b", std=2.0)]
    return pdeinv.own_model(forward, prior=prior, jacobian=jacobian, coarse=lambda m: A @ m)


def broken():
    return 1 / 0


def number():
    return 3


LOCAL = 1
"""
PCN = ("--engine", "pcn", "--chains", 2, "--seed", 1, "--set", "engine.warmup=50")


def source(factor=1.0):
    return SOURCE.replace("FACTOR", str(factor))


@pytest.fixture
def flow(tmp_path, monkeypatch, call):
    """A folder with flow.py and what solve and observe make of it."""
    monkeypatch.chdir(tmp_path)
    Path("flow.py").write_text(source())
    own = ("--own-model", "flow:build")
    done = call("solve", *own, "--seed", 1, "--out", "truth.nc")
    assert done.exit_code == 0, done.stderr
    done = call("observe", "truth.nc", *own, "--noise-rel", 0.1, "--seed", 1, "--out", "obs.nc")
    assert done.exit_code == 0, done.stderr
    return tmp_path


def run(call, *words, own="flow:build"):
    done = call(*words, "--own-model", own)
    assert done.exit_code == 0, done.stderr
    return done


def xi(path):
    return xr.open_datatree(path)["unconstrained_posterior"]["xi"].values


def refused(call, *words):
    """The one line of an error with exit code 2."""
    done = call(*words)
    assert done.exit_code == 2, done.stdout
    notes, _, error = done.stderr.rpartition("error: ")
    assert all(line.startswith(("note: ", "warning: ")) for line in notes.splitlines())
    assert error.count("\n") == 1
    return error


def test_the_whole_way_from_a_function_to_a_score(flow, call):
    run(call, "invert", "obs.nc", "--engine", "laplace", "--seed", 2, "--out", "r.nc")
    run(call, "generate", "--n", 40, "--workers", 2, "--seed", 3, "--out", "d.nc")
    run(call, "train-surrogate", "gp", "--data", "d.nc", "--seed", 4, "--out", "gp")
    run(call, "evaluate", "gp", "--n", 4, "--obs", "obs.nc", "--seed", 5)
    found = json.loads(run(call, "score", "r.nc", "--truth", "truth.nc", "--json").stdout)
    assert found["scores"]["rel-l2"] < 0.5
    words = ("score", "r.nc", "--truth", "truth.nc", "--metric", "dice", "--threshold", 1)
    assert "compares a list of numbers" in refused(call, *words)
    assert json.loads(run(call, "check", "own", "--json").stdout)["ok"]
    assert json.loads(run(call, "check", "obs.nc", "--json").stdout)["ok"]
    assert call("plot", "r.nc", "--truth", "truth.nc", "--out", "r.png").exit_code == 0
    assert call("info", "r.nc").exit_code == 0


def test_a_result_records_the_name_and_the_hash_of_the_source(flow, call):
    from pdeinv.config import parse_toml
    from pdeinv.provenance import sha256

    run(call, "invert", "obs.nc", "--engine", "map", "--seed", 2, "--out", "r.nc")
    table = parse_toml(xr.open_datatree("r.nc").attrs["pdeinv_config"], "r.nc")["problem"]
    digest = sha256(flow / "flow.py")
    assert table == {"name": "own", "model": "flow:build", "sha256": digest}


def test_workers_change_no_bit(flow, call):
    run(call, "invert", "obs.nc", *PCN, "--draws", 200, "--out", "one.nc")
    run(call, "invert", "obs.nc", *PCN, "--draws", 200, "--workers", 2, "--out", "two.nc")
    assert np.array_equal(xi("one.nc"), xi("two.nc"))
    run(call, "generate", "--n", 40, "--seed", 3, "--out", "d1.nc")
    run(call, "generate", "--n", 40, "--workers", 2, "--seed", 3, "--out", "d2.nc")
    assert xr.open_dataset("d1.nc")["data"].equals(xr.open_dataset("d2.nc")["data"])


@pytest.mark.slow  # the test above has workers, tests/cli/test_training_on_the_way.py the rest
@pytest.mark.filterwarnings("ignore:surrogate 'multifidelity'")
def test_training_on_the_way_takes_the_coarse_twin_in_workers(flow, call):
    small = ("round_size=20", "max_rounds=2", "target_sd=50", "moves=20")
    settings = [w for s in small for w in ("--set", f"surrogate.{s}")]
    lengths = ("--set", "engine.tuning=40", "--set", "engine.warmup=10", "--draws", 20)
    lengths = (*lengths, "--set", "engine.subchain=2")  # measured costs may differ
    words = ("invert", "obs.nc", "--seed", 1, "--chains", 2, *lengths, *settings)
    run(call, *words, "--workers", 2, "--out", "two.nc")
    run(call, *words, "--out", "one.nc")
    assert np.array_equal(xi("one.nc"), xi("two.nc"))


def test_a_file_and_a_module_are_the_same_model(flow, call, monkeypatch):
    run(call, "invert", "obs.nc", *PCN, "--draws", 100, "--out", "module.nc")
    elsewhere = flow / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    words = ("invert", "../obs.nc", *PCN, "--draws", 100, "--workers", 2, "--out", "file.nc")
    run(call, *words, own="../flow.py:build")
    assert np.array_equal(xi("../module.nc"), xi("file.nc"))


def test_a_resumed_run_ends_with_the_same_bits_and_refuses_another_source(flow, call):
    run(call, "invert", "obs.nc", *PCN, "--draws", 300, "--out", "whole.nc")
    run(call, "invert", "obs.nc", *PCN, "--draws", 100, "--out", "r.nc")
    resume = ("invert", "obs.nc", *PCN, "--draws", 300, "--out", "r.nc", "--resume")
    run(call, *resume)
    assert np.array_equal(xi("whole.nc"), xi("r.nc"))
    Path("flow.py").write_text(source(2.0))
    message = refused(call, *resume, "--own-model", "flow:build")
    assert "belong to another configuration" in message
    assert "problem.sha256 was " in message


@pytest.mark.parametrize("own", ["flow:build", "flow.py:build"])
@pytest.mark.parametrize("line", ["from rates import rate", "import rates.more as more"])
def test_a_module_beside_the_model_is_part_of_its_source(own, line, flow, call, monkeypatch):
    for known in [name for name in sys.modules if name.startswith("rates")]:
        monkeypatch.delitem(sys.modules, known)  # of another folder
    (flow / "rates").mkdir()
    for name in ("__init__", "more"):
        (flow / f"rates/{name}.py").write_text("def rate(): return 1.0\n")
    called = "more.rate()" if "more" in line else "rate()"
    (flow / "flow.py").write_text(f"{line}\n{source(called)}")
    run(call, "invert", "obs.nc", *PCN, "--draws", 50, "--out", "r.nc", own=own)
    resume = ("invert", "obs.nc", *PCN, "--draws", 90, "--out", "r.nc", "--resume")
    run(call, *resume, own=own)  # negative control
    changed = "rates/more.py" if "more" in line else "rates/__init__.py"
    (flow / changed).write_text("def rate(): return 2.0\n")
    assert "problem.sha256 was " in refused(call, *resume, "--own-model", own)


def test_a_changed_source_is_the_one_that_runs(flow, call, monkeypatch):
    run(call, "solve", "--m", "truth.nc", "--seed", 1, "--out", "one.nc")
    Path("flow.py").write_text(source(2.0))
    run(call, "solve", "--m", "truth.nc", "--seed", 1, "--out", "two.nc")
    one, two = (xr.open_dataset(name)["data"].values for name in ("one.nc", "two.nc"))
    assert np.array_equal(2 * one, two)
    monkeypatch.setattr(own_declared, "_declared", {})  # as in another process
    message = refused(call, "score", "one.nc", "--truth", "truth.nc", "--own-model", "flow:build")
    assert "restore the source, or make the file again" in message


@pytest.fixture
def trap(flow, monkeypatch):
    """The same files, and a module that must not be imported."""
    monkeypatch.setattr(own_declared, "_declared", {})
    Path("flow.py").write_text("open('imported', 'w').close()\n" + source())
    yield flow
    assert not Path("imported").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("invert", "obs.nc", "--out", "x.nc"),
        ("observe", "truth.nc", "--sensors", "all", "--noise-rel", "0.1", "--out", "x.nc"),
        ("score", "truth.nc", "--truth", "truth.nc"),
        ("check", "obs.nc"),
        ("generate", "--obs", "obs.nc", "--n", "4", "--out", "x.nc"),
    ],
)
def test_no_file_imports_a_model(trap, call, words):
    assert "no file may import code; if you trust it, pass --own-model flow:build" in refused(
        call, *words
    )


def test_no_run_file_and_no_setting_imports_a_model(trap, call):
    table = f'name = "own"\nmodel = "flow:build"\nsha256 = "{"0" * 64}"\n'
    Path("run.toml").write_text(f"[problem]\n{table}")
    message = refused(call, "solve", "--config", "run.toml", "--out", "x.nc")
    assert "pass --own-model flow:build" in message
    keys = [f"problem.{line.replace(' ', '')}" for line in table.splitlines()]
    settings = [w for key in keys for w in ("--set", key)]
    assert "pass --own-model flow:build" in refused(call, "solve", *settings, "--out", "x.nc")


def test_the_name_in_a_file_cannot_pass_for_something_else(trap, call):
    for name in ("flow:build\nerror", "flow:build; rm", "$(flow):build"):
        words = ("--set", "problem.name=own", "--set", f"problem.sha256={'0' * 64}")
        model = ("--set", f"problem.model={json.dumps(name)}")
        assert "problem.model" in refused(call, "solve", *words, *model, "--out", "x.nc")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("flo:build", "no module 'flo' in "),
        ("flow:bild", "has no function 'bild'; it has forward, jacobian, build, broken, number"),
        ("flow:number", "must return what pdeinv.own_model makes, got int"),
        ("flow:broken", "broken() failed: ZeroDivisionError: division by zero"),
        ("flow:LOCAL", "has no function 'LOCAL'"),
        ("flow", "expected MODULE:FACTORY or path/to/file.py:FACTORY"),
        ("flow:", "expected MODULE:FACTORY"),
        ("models/flow.py:build", "no file models/flow.py in "),
        ("a-b:build", "is no module name"),
        ("crash:build", "importing it failed: SyntaxError"),
        ("leaves:build", "importing it failed: SystemExit"),
        ("needs:build", "No module named 'nowhere'"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_line(flow, call, own, message):
    Path("crash.py").write_text("def")
    Path("leaves.py").write_text("raise SystemExit(0)")
    Path("needs.py").write_text("import nowhere")
    assert message in refused(call, "solve", "--own-model", own, "--out", "x.nc")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "--n", 4, "--grid", "5x5"), "no field on a grid; leave --grid out"),
        (("solve", "--vtk", "v.vtkhdf"), "no mesh to write as VTKHDF"),
    ],
)
def test_what_it_cannot_give_is_refused_and_leaves_nothing(flow, call, words, message):
    before = set(flow.rglob("*"))
    assert message in refused(call, *words, "--own-model", "flow:build", "--out", "x.nc")
    assert {path for path in flow.rglob("*") if "__pycache__" not in path.parts} <= before


def test_two_problems_are_refused(flow, call):
    message = refused(call, "solve", "darcy", "--own-model", "flow:build", "--out", "x.nc")
    assert "'darcy' or --own-model, not both" in message


def test_the_folder_does_not_stay_on_the_path(flow, call):
    import sys

    run(call, "solve", "--seed", 1, "--out", "again.nc")
    assert str(flow) not in sys.path
    assert not list(flow.rglob("*.pyc"))


@pytest.mark.usefixtures("solves_here_once")
def test_the_slurm_script_names_the_model(flow, call):
    run(call, "generate", "--n", 40, "--seed", 3, "--out", "d.nc")
    words = ("train-surrogate", "latent", "--data", "d.nc", "--out", "s", "--print-sbatch")
    assert "--own-model flow:build" in run(call, *words, "--gpus", 0).stdout
