"""``solve --solver pinn`` and ``invert --engine pinn``: files, exit codes, one clear line."""

import json
import sys

import numpy as np
import pytest
import xarray as xr

ROD = """
[problem]
name = "heat"
lengths = [1.0]
cells = 32
conductivity = 0.1
initial = "sin(pi*x)"

[problem.time]
steps = 20

[problem.unknown]
kind = "conductivity"
prior = { kind = "uniform", low = 0.05, high = 0.5 }

[solver]
width = 8
depth = 2
points = 64
adam_steps = 60
newton_steps = 40
block = 30
newton_block = 10
tolerance = 0
patience = 99
"""
ENGINE = [f"--set=engine.{k}" for k in ("width=10", "depth=2", "points=100", "adam_steps=60")]


@pytest.fixture
def rod(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rod.toml").write_text(ROD)
    return tmp_path


def test_the_file_is_a_truth_like_any_other(rod, call):
    words = ("solve", "-c", "rod.toml", "--solver", "pinn", "--seed", 1, "--out", "net.nc")
    done = call(*words, "--compare", "--json", "--vtk", "net.vtkhdf")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["relative_l2"] < 0.05
    assert told["iterations"] == 100
    assert (
        call(
            "solve", "-c", "rod.toml", "--solver", "fenicsx", "--seed", 1, "--out", "fem.nc"
        ).exit_code
        == 0
    )
    with xr.open_dataset("net.nc") as net, xr.open_dataset("fem.nc") as fem:
        assert set(net.variables) == set(fem.variables)
        assert net.sizes == fem.sizes
        assert net.attrs["pdeinv_solver"] == "pinn"
        assert net.attrs["pdeinv_solver_relative_l2"] == told["relative_l2"]
        error = np.linalg.norm(net["u"] - fem["u"]) / np.linalg.norm(fem["u"])
        assert error == pytest.approx(told["relative_l2"])
    lines = (rod / "net.nc.run/history.jsonl").read_text().splitlines()
    assert [json.loads(line)["block"] for line in lines] == [1, 2, 3, 4, 5, 6]
    seen = call("observe", "net.nc", "--sensors", "grid:3", "--noise-rel", 0.02, "--out", "obs.nc")
    assert seen.exit_code == 0, seen.stderr
    again = call(*words)
    assert again.exit_code == 2
    assert "net.nc already exists" in again.stderr
    more = call(*words[:-4], "--out", "net.nc", "--resume", "--set", "solver.newton_steps=50")
    assert more.exit_code == 0, more.stderr
    assert len((rod / "net.nc.run/history.jsonl").read_text().splitlines()) == 7


@pytest.mark.slow
def test_the_engine_finds_what_map_finds(rod, call):
    assert (
        call(
            "solve", "-c", "rod.toml", "--solver", "fenicsx", "--seed", 3, "--out", "fem.nc"
        ).exit_code
        == 0
    )
    words = ("observe", "fem.nc", "--sensors", "grid:3", "--noise-rel", 0.01, "--seed", 1)
    assert call(*words, "--out", "obs.nc").exit_code == 0
    found = {}
    for engine, options in (("map", []), ("pinn", ENGINE)):
        out = f"{engine}.nc"
        done = call(
            "invert", "obs.nc", "--engine", engine, *options, "--seed", 1, "--out", out, "--json"
        )
        assert done.exit_code == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["produces"] == "point"
        with xr.open_dataset(out, group="posterior") as posterior:
            found[engine] = float(posterior["conductivity"].squeeze()), told
    assert found["pinn"][0] == pytest.approx(found["map"][0], rel=0.01)
    # the verdict alone asks the reference model, for the distance to its minimum
    assert 0 < found["pinn"][1]["n_adjoint"] < found["map"][1]["n_adjoint"]
    misfits = [found[e][1]["summary"]["misfit"] for e in ("pinn", "map")]
    assert misfits[0] == pytest.approx(misfits[1], rel=0.1)
    with xr.open_dataset("pinn.nc", group="training") as course:
        assert {"objective", "residual", "misfit", "penalty"} <= set(course)


BAD = {
    "no such solver": (["--solver", "fem"], "unknown solver 'fem'; expected fenicsx or pinn"),
    "flag of the other": (["--compare"], "--compare belongs to the solver pinn"),
    "option of the other": (["--set", "solver.width=3"], "solver.width belongs to the solver pinn"),
    "unknown option": (
        ["--solver", "pinn", "--set", "solver.widht=3"],
        "unknown key 'solver.widht'; did you mean 'width'?",
    ),
    "jumping coefficient": (
        ["--solver", "pinn", "--set", 'problem.unknown.kind="two-phase"'],
        "of kind 'two-phase' jumps between cells or phases, where the strong form does not hold",
    ),
    "mesh prior": (
        [
            "--solver",
            "pinn",
            "--set",
            'problem.unknown={kind="log-gaussian",representation="spde",smoothness=1.0}',
        ],
        "lives on the nodes of a mesh, where its gradient jumps",
    ),
    "corners": (
        ["--solver", "pinn", "--set", 'problem.boundary.left={kind="dirichlet",value=1.0}'],
        "the values prescribed at x = 0 and y = 0 differ by 1 where they meet",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(name, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, text = BAD[name]
    done = call("solve", "darcy", *words, "--set", "problem.cells=4", "--out", "x.nc")
    assert done.exit_code == 2
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("problem", "setting", "text"),
    [
        ("helmholtz", "problem.cells=12", "the strong form has no absorbing layer"),
        ("helmholtz", 'problem.measure="far-field"', "the strong form"),
        ("heat", 'problem.unknown.kind="point-sources"', "'point-sources' has no strong form"),
    ],
)
def test_what_has_no_strong_form_is_named(problem, setting, text, call, tmp_path):
    out = tmp_path / "x.nc"
    done = call("solve", problem, "--solver", "pinn", "--set", setting, "--out", out)
    assert done.exit_code == 2
    assert text in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_inversion_without_a_strong_form_is_refused_before_it_starts(rod, call):
    for key, value in (('kind="piecewise"', "jumps"), ('kind="level-set"', "a level set")):
        solved = call(
            "solve",
            "darcy",
            "--set",
            "problem.cells=4",
            "--set",
            f"problem.unknown.{key}",
            "--out",
            "t.nc",
            "--overwrite",
        )
        assert solved.exit_code == 0, solved.stderr
        words = ("observe", "t.nc", "--sensors", "grid:2x2", "--noise-rel", 0.1, "--overwrite")
        assert call(*words, "--out", "o.nc").exit_code == 0
        done = call("invert", "o.nc", "--engine", "pinn", "--out", "r.nc")
        assert done.exit_code == 2
        assert value in done.stderr
        assert not (rod / "r.nc.run").exists()


def test_without_torch_both_say_what_to_install(rod, call, monkeypatch):
    assert (
        call(
            "solve", "-c", "rod.toml", "--solver", "fenicsx", "--seed", 3, "--out", "fem.nc"
        ).exit_code
        == 0
    )
    words = ("observe", "fem.nc", "--sensors", "grid:3", "--noise-rel", 0.01, "--out", "obs.nc")
    assert call(*words).exit_code == 0
    monkeypatch.setitem(sys.modules, "torch", None)
    for command in (
        ("solve", "-c", "rod.toml", "--solver", "pinn"),
        ("invert", "obs.nc", "--engine", "pinn"),
    ):
        done = call(*command, "--out", "x.nc")
        assert done.exit_code == 2
        assert "pip install -e '.[surrogate]' in your clone of pdeinv" in done.stderr
        assert not list(rod.glob("x.nc*"))
