"""Measured profiles of a free flame, which has no place of its own: rate and place together."""

import numpy as np
import pytest

import pdeinv
from pdeinv.io import netcdf

RATE = "H2 + OH <=> H + H2O"
SHIFT, FACTOR = 1.7e-3, 0.12
OFFSET = {"kind": "normal", "mean": 1e-3, "std": 1e-3}
SMALL = {"slope": 0.15, "curve": 0.3, "length": 0.02}


def problem(extrapolate=False, **sought):
    rates = {RATE: {"log_a": {"std": 0.1}}}
    table = {**SMALL, "extrapolate": extrapolate, "unknown": {"rates": rates, **sought}}
    return pdeinv.problem("flame-cantera", **table)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Temperatures and OH of a flame of a finer grid, told from 1.7 mm further up."""
    made = tmp_path_factory.mktemp("offset")
    own = problem(offset=OFFSET)
    truth = pdeinv.solve(own, m=np.array([FACTOR, SHIFT]), level=3, out=made / "truth.nc")
    middle = float(truth["x"][int(np.abs(truth["T"].values - 1200).argmin())])
    places = ";".join(repr(middle + 1e-4 * k) for k in range(-6, 60, 3))
    found = pdeinv.observe(truth, sensors=f"list:{places}@T,X_OH", noise_rel=0.02, seed=1)
    netcdf.write(made / "obs.nc", found)
    return made / "obs.nc"


@pytest.mark.slow
@pytest.mark.parametrize("extrapolate", [True, False])
def test_rate_and_place_are_found_together(measured, extrapolate):
    """Without extrapolation the error of the grid shifts them: the negative control."""
    own = problem(extrapolate, offset=OFFSET)
    tree = pdeinv.invert(measured, problem=own, engine="laplace", seed=1, starts=1)
    draws = tree["posterior"].to_dataset()
    z = [
        abs(float(draws[name].mean()) - right) / float(draws[name].std())
        for name, right in (("offset", SHIFT), ("log_a_20", FACTOR))
    ]
    assert (max(z) < 3) == extrapolate
    assert float(draws["offset"].std()) < 2e-5


def test_places_of_a_file_are_those_of_data():
    fields = [problem(offset=OFFSET).solve(np.array([0.0, shift]), 0) for shift in (0.0, SHIFT)]
    np.testing.assert_allclose(fields[1]["x"] - fields[0]["x"], SHIFT, atol=1e-12)
    np.testing.assert_array_equal(fields[1]["T"], fields[0]["T"])
