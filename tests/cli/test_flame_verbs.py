"""Flames through the verbs: data of several quantities, what results report, and figures."""

import json

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.check import check_observations
from pdeinv.jobs.import_data import import_file
from pdeinv.jobs.plot.kinds import derived_panels, parted_kinds, quantity_panels
from pdeinv.jobs.plot.result import Claim
from pdeinv.plugins.case import read_case

pytestmark = pytest.mark.usefixtures("solves_here")

SMALL = {"cells": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A truth, observations of profiles and speeds, and a result."""
    made = tmp_path_factory.mktemp("flame")
    truth = pdeinv.solve(pdeinv.problem("flame", **SMALL), seed=1, out=made / "truth.nc")
    spec = "grid:8@T,u+speed:0.4,0.45"
    obs = pdeinv.observe(truth, sensors=spec, noise_rel=0.01, seed=1, out=made / "obs.nc")
    pdeinv.invert(obs, engine="laplace", starts=1, draws=200, seed=1, out=made / "post.nc")
    return made


def test_each_quantity_has_its_own_units_and_noise(folder):
    obs = netcdf.read_dataset(folder / "obs.nc")
    assert {k: obs[k].attrs["units"] for k in ("T", "u", "s_L")} == {
        "T": "K", "u": "m s-1", "s_L": "m s-1",
    }  # fmt: skip
    assert [int(obs[k].notnull().sum()) for k in ("T", "u", "s_L")] == [8, 8, 2]
    peak = float(np.abs(netcdf.read_dataset(folder / "truth.nc")["T"]).max())
    assert float(obs["T_sigma"].max()) == pytest.approx(0.01 * peak, rel=0.05)


def test_an_audit_of_data_says_each_quantity_in_its_own_units(folder):
    case = read_case(folder / "obs.nc", {}, NoiseSpec())
    found = {v.test: v.value for v in check_observations(case.problem, case.observations, (), 0, 1)}
    obs = netcdf.read_dataset(folder / "obs.nc")
    for name, units in (("T", "K"), ("u", "m s-1"), ("s_L", "m s-1")):
        assert found[f"largest |{name}| ({units})"] == pytest.approx(float(abs(obs[name]).max()))
        std = float(obs[f"{name}_sigma"].median())
        assert found[f"median noise std of {name} ({units})"] == pytest.approx(std)


def sought(path, unknown):
    """What an inversion of a file looks for, with these priors on top."""
    table = {"unknown": unknown} if unknown else {}
    return [*read_case(path, table, NoiseSpec()).problem.config.unknown.sought]


PRESSURE = {"pressure": {"kind": "log-normal", "median": 1.1e5, "std": 0.1}}


def test_priors_of_a_run_file_replace_those_that_nobody_chose(folder, tmp_path):
    assert sought(folder / "obs.nc", {}) == ["conductivity", "activation_energy"]
    assert sought(folder / "obs.nc", PRESSURE) == ["pressure"]
    (tmp_path / "t.csv").write_text("phi,p [atm],T_in [K],s_L [cm/s]\n0.4,1,298,26.6\n")
    table = import_file("flame", "csv", tmp_path / "t.csv", {"rel": 0.02})
    netcdf.write(tmp_path / "t.nc", table)
    assert sought(tmp_path / "t.nc", PRESSURE) == ["pressure"]


def test_a_prior_that_a_file_carries_is_dropped_on_request(folder, tmp_path):
    own = {**PRESSURE, "conductivity": {"kind": "uniform", "low": 0.02, "high": 0.03}}
    problem = pdeinv.problem("flame", **SMALL, unknown=own)
    truth = pdeinv.solve(problem, seed=1, out=tmp_path / "truth.nc")
    path = tmp_path / "obs.nc"
    pdeinv.observe(truth, sensors="speed", noise_rel=0.01, seed=1, out=path)
    assert sought(path, {}) == ["conductivity", "pressure"]
    known = {"conductivity": {"kind": "known"}}
    assert sought(path, known) == ["pressure"]
    again = read_case(path, {"unknown": known}, NoiseSpec()).problem.config
    assert again.model_dump(mode="json")["unknown"]["conductivity"] == {"kind": "known"}


def test_the_result_reports_the_flame_speed_with_its_spread(folder):
    with xr.open_datatree(folder / "post.nc") as tree:
        speed, conductivity = tree["derived"]["s_L"], tree["posterior"]["conductivity"]
        with xr.open_dataset(folder / "truth.nc") as truth:
            right = float(truth["s_L"])
        assert speed.sizes == {"chain": 1, "draw": 100}
        assert abs(float(speed.mean()) - right) < 4 * float(speed.std())
        assert 0 < float(speed.std()) < 0.02 * right
        assert set(speed["draw"].values) <= set(conductivity["draw"].values)
        solves = tree.attrs["pdeinv_n_forward_predictive"]
    assert solves == 200


def test_figures_show_each_quantity_by_itself(folder, tmp_path):
    obs = netcdf.read_dataset(folder / "obs.nc")
    assert [next(iter(part.data_vars)) for part in parted_kinds(obs)] == ["s_L", "T", "u"]
    tree, truth = (netcdf.read_tree(folder / f"{name}.nc") for name in ("post", "truth"))
    claim = Claim.of(tree, truth)
    assert len(derived_panels(tree, truth, claim.point, claim.of_draws)) == 4
    assert len(quantity_panels(tree, claim.point)) == 1
    for name, more in (("obs", {}), ("post", {"truth": folder / "truth.nc"}), ("truth", {})):
        pdeinv.plot(folder / f"{name}.nc", out=tmp_path / f"{name}.png", **more)
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


MEDIANS = (
    "problem.unknown.conductivity={kind='log-normal', median=0.026, std=0.2}",
    "problem.unknown.activation_energy={kind='log-normal', median=121417.2, std=0.1}",
)


def flame_by_network(call, out, *more):
    """``solve flame --solver pinn`` at the medians of the priors."""
    options = ("solver.points=128", "solver.width=12", "solver.adam_steps=0", "problem.cells=64")
    words = [w for o in (*MEDIANS, *options, *more) for w in ("--set", o)]
    return call("solve", "flame", "--solver", "pinn", "--m", "mean", "--seed", 1, "--out", out,
                "--json", *words)  # fmt: skip


@pytest.mark.slow
def test_a_network_solves_the_flame_and_tells_its_speed(call, tmp_path):
    done = flame_by_network(call, tmp_path / "net.nc")
    assert done.exit_code == 0, done.stderr
    speed = json.loads(done.stdout)["numbers"]["s_L"]
    fields = netcdf.read_dataset(tmp_path / "net.nc")
    assert float(fields["s_L"]) == speed == pytest.approx(0.26782048, rel=2e-4)  # by shooting
    observed = call("observe", tmp_path / "net.nc", "--sensors", "grid:3+speed", "--noise-rel",
                    0.01, "--seed", 1, "--out", tmp_path / "obs.nc")  # fmt: skip
    assert observed.exit_code == 0, observed.stderr


def test_a_network_that_finds_no_flame_writes_none(call, tmp_path):
    done = flame_by_network(call, tmp_path / "net.nc", "solver.newton_steps=20")
    assert done.exit_code == 1
    assert "the network found no flame" in json.loads(done.stdout)["error"]["message"]
    assert not (tmp_path / "net.nc").exists()


def test_an_operator_says_which_surrogates_learn_from_numbers(call, tmp_path):
    """It had asked for a grid, which a flame refuses."""
    data = tmp_path / "data.nc"
    made = call("generate", "flame", "--set", "problem.cells=32", "--sensors", "grid:4@T", "--n",
                12, "--seed", 1, "--out", data)  # fmt: skip
    assert made.exit_code == 0, made.stderr
    done = call("train-surrogate", "fno", "--data", data, "--seed", 1, "--out", tmp_path / "fno")
    assert done.exit_code == 2
    assert "list of numbers" in done.stderr
    assert "latent, gp, multifidelity" in done.stderr
    assert "33x33" not in done.stderr
    assert "--grid" not in done.stderr
    done = call("generate", "flame", "--grid", "8x8", "--sensors", "grid:4@T", "--n", 2,
                "--out", data, "--overwrite")  # fmt: skip
    assert done.exit_code == 2
    assert "--grid 8x8: problem flame lies over x; expected nodes along each" in done.stderr
