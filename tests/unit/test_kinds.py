"""Observations of several quantities in one file: what is read, and the text of every refusal."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.noise import Noise
from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec, Observations, read, to_dataset
from pdeinv.model.observed import Kind, Observed

KINDS = (
    Kind("T", "K", "temperature", 1024.0, ("x", "run")),
    Kind("v", "m s-1", "velocity", 1.0, ("x", "run")),
    Kind("rate", "s-1", "rate", 0.25, ("run",)),
)
SEEN = Observed("y", "1", "numbers", {"kind": "1", "x": "m", "run": "1"}, kinds=KINDS, kind="kind")


def table():
    return {
        "T": ("obs", [300.0, 400.0, np.nan], {"units": "K"}),
        "T_sigma": ("obs", [3.0, 4.0, np.nan], {"units": "K"}),
        "v": ("obs", [np.nan, 2.0, 3.0], {"units": "m s-1"}),
        "v_sigma": ("obs", [np.nan, 0.2, 0.3], {"units": "m s-1"}),
        "x": ("obs", [0.1, 0.2, 0.3], {"units": "m"}),
        "run": ((), 7.0, {"units": "1"}),
    }


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "obs.nc"


def save(path, changes):
    variables = {k: v for k, v in {**table(), **changes}.items() if v is not None}
    xr.Dataset(variables).to_netcdf(path)


def test_a_table_becomes_one_list_of_data(path):
    save(path, {})
    found = read(path, SEEN)
    np.testing.assert_array_equal(found.values * [1024, 1024, 1, 1], [300, 400, 2, 3])
    np.testing.assert_allclose(found.noise.std * [1024, 1024, 1, 1], [3, 4, 0.2, 0.3])
    np.testing.assert_array_equal(found.coords["kind"], [0, 0, 1, 1])
    np.testing.assert_array_equal(found.coords["x"], [0.1, 0.2, 0.2, 0.3])
    np.testing.assert_array_equal(found.coords["run"], [7, 7, 7, 7])


def test_flagged_data_are_dropped_and_counted(path):
    save(path, {"T_qc": ("obs", [0, 1, 0])})
    found = read(path, SEEN)
    assert found.n_dropped == 1
    assert found.size == 3


@pytest.mark.parametrize("filler", [1.0, np.nan])
def test_rows_of_other_quantities_are_no_dropped_data(path, filler):
    flags = {"T_qc": ("obs", [0, 1, filler]), "v_qc": ("obs", [filler, 0, 0])}
    save(path, flags)
    found = read(path, SEEN)
    assert (found.size, found.n_dropped) == (3, 1)


def test_a_quantity_without_place_needs_none(path):
    save(path, {
        **dict.fromkeys(("T", "T_sigma", "v", "v_sigma", "x"), None),
        "rate": ("obs", [2.0, 3.0], {"units": "s-1"}),
        "rate_sigma": ("obs", [1.0, 4.0], {"units": "s-1", "standard_error_multiplier": 2.0}),
        "run": ("obs", [1.0, 2.0], {"units": "1"}),
    })  # fmt: skip
    found = read(path, SEEN)
    np.testing.assert_array_equal(found.values, [8, 12])
    np.testing.assert_array_equal(found.noise.std, [2, 8])
    np.testing.assert_array_equal(found.coords["x"], [0, 0])


def test_data_come_back_bit_for_bit_from_a_table_with_gaps(path):
    rng = np.random.default_rng(0)
    kinds = np.array([0.0, 0, 1, 1, 2, 2, 0])  # the last is a second measurement at one place
    x = np.array([0.1, 0.2, 0.2, 0.3, 0.0, 0.0, 0.1])
    coords = {"kind": kinds, "x": x, "run": np.array([1.0, 1, 1, 1, 1, 2, 1])}
    values, sigma = rng.standard_normal(7), rng.uniform(1, 2, 7)
    dataset = to_dataset(Observations(SEEN, values, coords, Noise(sigma)), {})
    assert set(dataset.data_vars) == {"T", "T_sigma", "v", "v_sigma", "rate", "rate_sigma"}
    assert dataset["T"].attrs["units"] == "K"
    netcdf.write(path, dataset)
    back = read(path, SEEN)
    columns = [values, sigma, *coords.values()]
    again = [back.values, back.noise.std, *(back.coords[c] for c in coords)]
    np.testing.assert_array_equal(
        sorted(zip(*columns, strict=True)), sorted(zip(*again, strict=True))
    )


def test_relative_noise_is_that_of_each_quantity(path):
    save(path, {"T_sigma": None, "v_sigma": None})
    found = read(path, SEEN, NoiseSpec(rel=0.1))
    np.testing.assert_allclose(found.noise.std * [1024, 1024, 1, 1], [40, 40, 0.3, 0.3])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            dict.fromkeys(("T", "v"), None),
            "expected at least one of the variables 'T', 'v', 'rate'",
        ),
        ({"T": ("obs", [300.0, 400.0, 1.0])}, "'T' has no units attribute; expected 'K'"),
        ({"T": ("obs", [3.0, 4.0, 5.0], {"units": "degC"})}, "the problem works in 'K'"),
        ({"T_sigma": None}, "no noise given for 'T'; add a variable 'T_sigma' or pass --noise-rel"),
        ({"T_sigma": ("obs", [3.0, 0.0, 1.0], {"units": "K"})}, "datum 1 has 0"),
        ({"v_cov": (("a", "b"), np.eye(2))}, "data of several quantities have no 'v_cov'"),
        ({"x": None}, "variable 'x' is missing"),
        ({"x": ("other", [0.1, 0.2, 0.3], {"units": "m"})}, "'x' must have the dimension of 'T'"),
        ({"x": ("obs", [0.1, np.nan, 0.3], {"units": "m"})}, "coordinate 'x' of datum 1 is not"),
        ({"run": ((), 7.0)}, "'run' has no units attribute"),
    ],
)
def test_other_files_are_refused(path, changes, said):
    save(path, changes)
    with pytest.raises(DataSchemaError, match=said) as error:
        read(path, SEEN)
    assert "\n" not in str(error.value)


def test_one_absolute_noise_is_no_noise_of_several_quantities(path):
    save(path, {})
    with pytest.raises(DataSchemaError, match="--noise-std is one number, the data are several"):
        read(path, SEEN, NoiseSpec(std=0.1))
