"""Flames with detailed chemistry through the verbs: speeds, profiles, figures and the example."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.io import netcdf
from pdeinv.jobs.import_data import import_file
from pdeinv.jobs.plot.bars import bar_panels
from pdeinv.jobs.plot.result import Claim

pytestmark = pytest.mark.usefixtures("solves_here")

EXAMPLE = Path(__file__).parents[2] / "examples" / "flame-cantera"
SMALL = {"slope": 0.2, "curve": 0.4, "length": 0.02, "species": ("OH",)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A truth, observations of speeds and of a profile, and a result."""
    made = tmp_path_factory.mktemp("flame-cantera")
    truth = pdeinv.solve(pdeinv.problem("flame-cantera", **SMALL), seed=1, out=made / "truth.nc")
    spec = "speed:0.8,1.0,1.4+list:0.0065;0.007;0.0075@T,X_OH"
    obs = pdeinv.observe(truth, sensors=spec, noise_rel=0.01, seed=1, out=made / "obs.nc")
    pdeinv.invert(obs, engine="laplace", starts=1, draws=50, seed=1, out=made / "post.nc")
    return made


def test_each_quantity_has_its_own_units(folder):
    obs = netcdf.read_dataset(folder / "obs.nc")
    units = {k: obs[k].attrs["units"] for k in ("s_L", "T", "X_OH")}
    assert units == {"s_L": "m s-1", "T": "K", "X_OH": "1"}
    assert [int(obs[k].notnull().sum()) for k in units] == [3, 3, 3]
    assert "mass_flux" not in obs.coords


def test_a_truth_holds_the_mole_fractions_that_results_show(folder):
    truth, result = (netcdf.read_tree(folder / f"{name}.nc") for name in ("truth", "post"))
    assert Claim.of(result, truth).lacking == ()
    root, obs = truth.to_dataset(), netcdf.read_dataset(folder / "obs.nc")
    data = obs["X_OH"].dropna("obs")
    there = np.interp(data["x"], root["x"], root["X_OH"])
    assert there == pytest.approx(data.values, abs=1e-3)  # noise of 1 % of 0.0136


def test_the_result_reports_the_flame_speed_with_its_spread(folder):
    with (
        xr.open_datatree(folder / "post.nc") as tree,
        xr.open_dataset(folder / "truth.nc") as truth,
    ):
        speed = tree["derived"]["s_L"]
        assert abs(float(speed.mean()) - float(truth["s_L"])) < 0.05 * float(truth["s_L"])
        assert set(tree["derived"].data_vars) == {"s_L", "T", "u", "X_OH"}


def test_figures_show_speeds_profiles_and_sensitivities(folder, tmp_path):
    truth = netcdf.read_dataset(folder / "truth.nc")
    assert len(bar_panels(truth)) == 1
    biggest = str(truth["equation"].values[np.argmax(np.abs(truth["sensitivity"].values))])
    assert biggest in ("10: H + O2 <=> O + OH", "20: H2 + OH <=> H + H2O")
    for name, more in (("obs", {}), ("post", {"truth": folder / "truth.nc"}), ("truth", {})):
        pdeinv.plot(folder / f"{name}.nc", out=tmp_path / f"{name}.png", **more)
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_the_example_is_the_table_beside_it():
    options = {
        "configuration": "burner", "fuel": "H2:1", "oxidizer": "O2:0.125,AR:0.875", "length": 0.2,
    }  # fmt: skip
    found = import_file("flame-cantera", "csv", EXAMPLE / "burner.csv", options)
    shipped = netcdf.read_dataset(EXAMPLE / "obs.nc")
    np.testing.assert_array_equal(found["T"], shipped["T"])
    assert found["T"].size == 20


def test_the_example_finds_the_rate_that_made_it():
    found = pdeinv.invert(
        EXAMPLE / "obs.nc", engine="map", starts=1, seed=1,
        tables={"problem": {"extrapolate": True, "unknown": {"rates": {
            "H + O2 <=> O + OH": {"log_a": {"uncertainty_factor": 3}}}}}},
    )  # fmt: skip
    value = float(found["posterior"]["log_a_10"].values.ravel()[0])
    assert value == pytest.approx(np.log10(1.4), abs=0.06)
