"""Heat from the command line: truth, time series, inversion, checks and refusals."""

import json
import re

import numpy as np
import pytest
import xarray as xr

HEAT = """
seed = 1
[problem]
name = "heat"
cells = 8
initial = "1 - x"
[problem.time]
steps = 8
[problem.boundary.left]
kind = "dirichlet"
value = "1 + 0.2*t"
[problem.boundary.top]
kind = "robin"
coefficient = 0.2
[problem.unknown]
kind = "conductivity"
prior = { kind = "log-gaussian", mean = -2.5, std = 0.5, length = 0.5, modes = 4, grid = [9, 9] }
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory, call):
    folder = tmp_path_factory.mktemp("heat")
    (folder / "heat.toml").write_text(HEAT)
    done = call("solve", "--config", folder / "heat.toml", "--out", folder / "truth.nc")
    assert done.exit_code == 0, done.stderr
    words = ("--sensors", "grid:3@0.1:1:5", "--noise-rel", 0.02, "--seed", 2)
    done = call("observe", folder / "truth.nc", *words, "--out", folder / "obs.nc")
    assert done.exit_code == 0, done.stderr
    assert "45 data" in done.stderr
    return folder


def test_observations_are_time_series_of_a_finer_mesh_and_step(folder):
    data, truth = xr.load_dataset(folder / "obs.nc"), xr.load_dataset(folder / "truth.nc")
    assert dict(data.sizes) == {"station": 9, "time": 5}
    assert truth.sizes["time"] == 17
    assert truth.sizes["node"] == 17**2
    assert data.attrs["pdeinv_level"] == 1


def test_an_inversion_finds_the_truth_within_its_band(folder, call, tmp_path):
    out = tmp_path / "laplace.nc"
    done = call("invert", folder / "obs.nc", "--engine", "laplace", "--seed", 3, "--out", out)
    assert done.exit_code == 0, done.stderr
    truth = xr.open_datatree(folder / "truth.nc")["unknown"]["conductivity"].values
    draws = xr.open_datatree(out)["posterior"]["conductivity"].values[0]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9


def test_the_gaussian_engine_refuses_the_conductivity_in_one_line(folder, call, tmp_path):
    out = tmp_path / "gaussian.nc"
    done = call("invert", folder / "obs.nc", "--engine", "gaussian", "--out", out)
    assert done.exit_code == 2
    assert "use laplace, pcn or two-level" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_refusal_leaves_an_earlier_run_that_can_be_resumed(folder, call, tmp_path):
    """The folder holds checkpoints of another engine."""
    out = tmp_path / "posterior.nc"
    words = ("invert", folder / "obs.nc", "--seed", 3, "--out", out)
    assert call(*words, "--engine", "laplace").exit_code == 0
    kept = sorted(p.name for p in (tmp_path / "posterior.nc.run").iterdir())
    done = call(*words, "--engine", "eki", "--resume")
    assert done.exit_code == 2
    assert "belong to another configuration" in done.stderr
    assert sorted(p.name for p in (tmp_path / "posterior.nc.run").iterdir()) == kept


def test_a_dry_run_predicts_the_peak_memory(folder, call, tmp_path):
    words = ("--engine", "map", "--dry-run", "--json", "--out", tmp_path / "map.nc")
    done = call("invert", folder / "obs.nc", *words)
    plan = json.loads(done.stdout)
    assert plan["peak memory per process (MB)"] > 50
    assert "solve, alone (ms)" not in plan  # one search costs what it costs
    assert not list(tmp_path.iterdir())


def test_a_dry_run_of_a_sampler_tells_what_it_takes(folder, call, tmp_path):
    words = ("--engine", "pcn", "--dry-run", "--json", "--out", tmp_path / "pcn.nc")
    plan = json.loads(call("invert", folder / "obs.nc", *words).stdout)
    assert plan["value and gradient, 16 together (ms)"] > 0
    assert plan["CPU of hmc for as many steps, about (s)"] > 0
    assert not [what for what in plan if "training" in what]


def test_a_dry_run_of_two_level_tells_a_limit_of_its_training(folder, call, tmp_path):
    words = ("--engine", "two-level", "--dry-run", "--json", "--out", tmp_path / "two.nc")
    rounds = ("--set", "surrogate.round_size=20", "--set", "surrogate.max_rounds=4")
    plan = json.loads(call("invert", folder / "obs.nc", *words, *rounds).stdout)
    assert plan["training solves, at most"] == 20 + 20 + 20 + 40


@pytest.mark.parametrize(
    "unknown", ["initial-state", "source", "conductivity", "point-sources", "robin", "flux"]
)
def test_check_passes_for_every_unknown(unknown, folder, call):
    sided = {"robin": "top", "flux": "top"}
    lines = HEAT.partition("[problem.unknown]")[0] + f'[problem.unknown]\nkind = "{unknown}"\n'
    lines += f'side = "{sided[unknown]}"\n' if unknown in sided else ""
    (folder / f"{unknown}.toml").write_text(lines)
    done = call("check", "heat", "--config", folder / f"{unknown}.toml", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sensors", "grid:3@0.5:1.5:3", "--noise-rel", 0.1), "outside the run"),
        (("--sensors", "list:0.5,2@1", "--noise-rel", 0.1), "outside the domain"),
        (("--sensors", "grid:3@1"), "no noise given"),
    ],
)
def test_bad_sensors_leave_one_line_and_no_file(words, message, folder, call, tmp_path):
    done = call("observe", folder / "truth.nc", *words, "--out", tmp_path / "obs.nc")
    assert done.exit_code == 2
    assert re.search(message, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "obs.nc").exists()


def test_time_stamps_outside_the_run_are_refused_on_inversion(folder, call, tmp_path):
    late = xr.load_dataset(folder / "obs.nc")
    late = late.assign_coords(time=(late["time"] + 0.5).assign_attrs(late["time"].attrs))
    late.to_netcdf(tmp_path / "late.nc")
    out = tmp_path / "map.nc"
    done = call("invert", tmp_path / "late.nc", "--engine", "map", "--out", out)
    assert done.exit_code == 2
    assert "lies outside the run [0, 1]" in done.stderr
    assert not out.exists()


@pytest.mark.slow
def test_two_level_trains_its_own_surrogate(folder, call, tmp_path):
    """The coarse model has half the cells and twice the time step."""
    out = tmp_path / "two-level.nc"
    words = ("--chains", 2, "--draws", 100, "--set", "engine.tuning=100")
    training = ("--set", "surrogate.round_size=30", "--set", "surrogate.moves=20")
    done = call("invert", folder / "obs.nc", *words, *training, "--seed", 3, "--out", out)
    assert done.exit_code == 0, done.stderr
    result = xr.open_datatree(out)
    assert result.attrs["pdeinv_sd_misfit_difference_heldout"] < 1
    assert 60 <= result.attrs["pdeinv_n_forward_training"] < 150
    assert result.attrs["pdeinv_n_adjoint_training"] > 0
    truth = xr.open_datatree(folder / "truth.nc")["unknown"]["conductivity"].values
    draws = result["posterior"]["conductivity"].values.reshape(-1, *truth.shape)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9
