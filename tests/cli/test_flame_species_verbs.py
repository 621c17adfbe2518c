"""Flames of five species through the verbs: the shipped counterflow, and what results report."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytestmark = pytest.mark.usefixtures("solves_here")

EXAMPLE = Path(__file__).parents[2] / "examples/flame-species"
COARSE = ("--set", "problem.slope=0.1", "--set", "problem.curve=0.2")
INLET = ("--p", 101325, "--t-in", 300, "--phi", 0.8, "--configuration", "counterflow")


@pytest.fixture(scope="module")
def done(call, tmp_path_factory):
    """The example's data, inverted as its page says, with fewer cells."""
    folder = tmp_path_factory.mktemp("species")
    for words in (
        ("import", "flame-species", "csv", EXAMPLE / "counterflow.csv", *INLET,
         "--out", folder / "obs.nc"),
        ("invert", folder / "obs.nc", "--config", EXAMPLE / "run.toml", *COARSE,
         "--set", "engine.draws=60", "--set", "engine.starts=1", "--out", folder / "post.nc"),
        ("plot", folder / "post.nc", "--out", folder / "post.png"),
    ):  # fmt: skip
        found = call(*words)
        assert found.exit_code == 0, found.stderr
    return folder


def test_the_shipped_observations_are_those_of_the_table(done):
    with xr.open_dataset(EXAMPLE / "obs.nc") as shipped, xr.open_dataset(done / "obs.nc") as made:
        assert set(shipped) == set(made)
        for name in made:
            np.testing.assert_array_equal(shipped[name], made[name])


def test_data_of_cantera_give_back_its_activation_energy(done):
    with xr.open_datatree(done / "post.nc") as tree:
        energy, derived = tree["posterior"]["activation_energy"], tree["derived"]
        assert abs(float(energy.mean()) - 83680) < 3 * float(energy.std())
        assert float(energy.std()) < 0.01 * 83680
        assert derived["Lambda"].attrs["units"] == "Pa m-2"
        assert float(derived["Lambda"].mean()) == pytest.approx(-13566, rel=5e-3)
        assert float(derived["strain_rate"].mean()) == pytest.approx(164, rel=2e-2)
    assert (done / "post.png").stat().st_size > 10_000
