"""Observation files: what is read, what is dropped, and the text of every refusal."""

import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.noise import Noise
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec, Observations, header, read, to_dataset
from pdeinv.model.observed import Observed

HEAD = Observed("u", "m", "hydraulic head", {"x": "m", "y": "m"})
METRE = {"units": "m"}


def table(n=4):
    return {
        "u": ("obs", np.arange(1.0, n + 1), METRE),
        "u_sigma": ("obs", np.full(n, 0.1), METRE),
        "x": ("obs", np.linspace(0, 1, n), METRE),
        "y": ("obs", np.linspace(1, 2, n), METRE),
    }


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "obs.nc"


def save(path, changes, attrs=None):
    """The table with some variables replaced, or left out where None."""
    variables = {k: v for k, v in {**table(), **changes}.items() if v is not None}
    xr.Dataset(variables, attrs=attrs or {}).to_netcdf(path)


def test_a_file_written_by_hand_is_read(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("obs", 3)
        for name, values in (("u", [1, 2, 4]), ("u_sigma", [0.1, 0.2, 0.3]), ("x", [0, 1, 2])):
            variable = file.createVariable(name, "f4", ("obs",))
            variable[:] = values
            variable.units = "m"
    found = read(path, Observed("u", "m", "head", {"x": "m"}))
    np.testing.assert_array_equal(found.values, [1, 2, 4])
    np.testing.assert_allclose(found.noise.std, [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(found.coords["x"], [0, 1, 2])
    assert found.values.dtype == np.float64
    assert found.problem is None
    assert found.n_dropped == 0


def test_packed_integers_and_fill_values_are_decoded(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("obs", 3)
        u = file.createVariable("u", "i2", ("obs",), fill_value=-99)
        u.units, u.scale_factor = "m", 0.5
        u.set_auto_maskandscale(False)
        u[:] = [2, -99, 6]
    found = read(path, Observed("u", "m", "head"), NoiseSpec(std=0.1))
    np.testing.assert_array_equal(found.values, [1, 3])
    assert found.n_dropped == 1


def test_missing_and_flagged_data_are_dropped_and_counted(path):
    save(
        path,
        {
            "u": ("obs", [1.0, np.nan, 3.0, np.nan], METRE),
            "u_qc": ("obs", np.array([0, 0, 0, 0], dtype="i1")),
        },
    )
    assert read(path, HEAD).n_dropped == 2
    save(path, {"u_qc": ("obs", np.array([0, 4, 1, 0], dtype="i1"))})
    found = read(path, HEAD)
    assert found.n_dropped == 2
    np.testing.assert_array_equal(found.values, [1, 4])
    np.testing.assert_allclose(found.coords["y"], [1, 2])
    assert found.noise.size == found.size == 2


def test_what_belongs_to_a_dropped_datum_may_be_missing_too(path):
    bad = {"u": ("obs", [1.0, np.nan, 3.0, 4.0], METRE)}
    for name in ("u_sigma", "x"):
        save(path, {**bad, name: ("obs", [0.1, np.nan, 0.1, 0.1], METRE)})
        assert read(path, HEAD).size == 3


def test_a_full_covariance_is_used_and_cut_with_the_data(path):
    full = np.array([[4, 1, 0, 0], [1, 3, 0, 0], [0, 0, 2, 0.5], [0, 0, 0.5, 1]])
    save(
        path,
        {
            "u": ("obs", [1.0, 2.0, np.nan, 4.0], METRE),
            "u_cov": (("obs", "obs_2"), full),
            "u_sigma": None,
        },
    )
    found = read(path, HEAD)
    np.testing.assert_array_equal(found.noise.covariance, full[np.ix_([0, 1, 3], [0, 1, 3])])


def test_a_standard_error_multiplier_is_divided_out(path):
    save(path, {"u_sigma": ("obs", np.full(4, 0.2), {**METRE, "standard_error_multiplier": 2})})
    np.testing.assert_allclose(read(path, HEAD).noise.std, 0.1)


def test_noise_given_by_the_caller_replaces_the_file(path):
    save(path, {})
    np.testing.assert_array_equal(read(path, HEAD, NoiseSpec(std=0.5)).noise.std, 0.5)
    np.testing.assert_allclose(read(path, HEAD, NoiseSpec(rel=0.05)).noise.std, 0.2)
    np.testing.assert_array_equal(read(path, HEAD, NoiseSpec()).noise.std, 0.1)


def test_problem_and_configuration_come_with_the_file(path):
    save(path, {}, {"pdeinv_problem": "darcy", "pdeinv_problem_config": "a = 1\n[b]\nc = 'd'"})
    _, name, config = header(path)
    assert name == "darcy"
    assert config == {"a": 1, "b": {"c": "d"}}
    assert read(path, HEAD).problem_config == config


def test_the_source_is_the_file_with_its_hash(path):
    save(path, {})
    name, digest = read(path, HEAD).source
    assert name == "obs.nc"
    assert len(digest) == 64


REFUSED = [
    ({"u": None}, r": variable 'u' is missing; found \['u_sigma', 'x', 'y'\]$"),
    ({"x": None}, r": variable 'x' is missing; found \['u', 'u_sigma', 'y'\]$"),
    (
        {"u": (("a", "b"), np.ones((2, 2)), METRE)},
        r": 'u' must have the one dimension obs, got \('a', 'b'\)$",
    ),
    ({"u": ("obs", list("abcd"), METRE)}, r": 'u' must hold numbers, got the type <U1; convert it"),
    ({"u": ("obs", np.ones(4))}, r": 'u' has no units attribute; expected 'm'$"),
    (
        {"u": ("obs", np.ones(4), {"units": "ft"})},
        r": 'u' has units 'ft', the problem works in 'm'; convert the file$",
    ),
    (
        {"x": ("obs", np.ones(4), {"units": "km"})},
        r": 'x' has units 'km', the problem works in 'm'; convert the file$",
    ),
    ({"x": ("n", np.ones(3), METRE)}, r": 'x' has 3 entries for 4 data$"),
    (
        {"y": ("obs", [0.0, 1.0, np.nan, 2.0], METRE)},
        r": coordinate 'y' of datum 2 is not finite; correct it, or make 'u' NaN there",
    ),
    (
        {"u": ("obs", np.full(4, np.nan), METRE)},
        r": no usable datum of 'u': all 4 are missing or flagged$",
    ),
    (
        {"u_qc": ("obs", np.array([1, 1, 9, 1], dtype="i1"))},
        r": no usable datum of 'u': all 4 are missing or flagged$",
    ),
    (
        {n: ("obs", np.zeros(0), METRE) for n in ("u", "x", "y", "u_sigma")},
        r": no usable datum of 'u': it holds none$",
    ),
    ({"u_qc": ("n", np.zeros(3))}, r": 'u_qc' must have the shape of 'u'$"),
    ({"u_qc": ("obs", list("abcd"))}, r": 'u_qc' must hold numbers, 0 where the datum is good$"),
    (
        {"u_sigma": None},
        r": no noise given for 'u'; add a variable 'u_sigma' or pass --noise-std \(absolute\) or "
        r"--noise-rel \(relative to the largest value\)$",
    ),
    (
        {"u": ("obs", [np.nan, 1.0, 2.0, 3.0], METRE), "u_sigma": ("obs", [1.0, 1, -1, 1], METRE)},
        r": 'u_sigma' must be positive and finite at every good datum; datum 2 has -1; correct it",
    ),
    (
        {"u_sigma": ("obs", [0.1, 0.0, 0.1, 0.1], METRE)},
        r": 'u_sigma' must be positive and finite at every good datum; datum 1 has 0; correct it",
    ),
    (
        {"u_sigma": ("obs", [0.1, 0.1, 0.1, np.nan], METRE)},
        r": 'u_sigma' must be positive and finite at every good datum; datum 3 has nan; correct it",
    ),
    ({"u_sigma": ("obs", np.ones(4), {"units": "1"})}, r": 'u_sigma' has units '1', the problem"),
    ({"u_sigma": ("n", np.ones(3), METRE)}, r": 'u_sigma' has 3 entries for 4 data$"),
    (
        {"u_sigma": ("obs", np.ones(4), {**METRE, "standard_error_multiplier": "two"})},
        r": attribute standard_error_multiplier of 'u_sigma' must be a positive number, got two$",
    ),
    (
        {"u_sigma": ("obs", np.ones(4), {**METRE, "standard_error_multiplier": 0.0})},
        r": attribute standard_error_multiplier of 'u_sigma' must be a positive number, got 0.0$",
    ),
    (
        {"u_cov": (("a", "b"), np.eye(3))},
        r": 'u_cov' must be 4 x 4 numbers, got \(3, 3\) of float64$",
    ),
    (
        {"u_cov": (("a", "b"), np.full((4, 4), "1"))},
        r": 'u_cov' must be 4 x 4 numbers, got \(4, 4\)",
    ),
    (
        {"u_cov": (("a", "b"), np.ones((4, 4)))},
        r": 'u_cov': noise covariance is not positive definite",
    ),
    (
        {"u_cov": (("a", "b"), np.eye(4) + np.eye(4, k=1))},
        r": 'u_cov': noise covariance must be symmetric; symmetrise it or check its order$",
    ),
    (
        {"u_cov": (("a", "b"), np.full((4, 4), np.nan))},
        r": 'u_cov': noise covariance must be finite",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_every_refusal_names_the_file_and_says_what_is_wrong(path, changes, message):
    save(path, changes)
    with pytest.raises(DataSchemaError, match=r"obs\.nc" + message) as caught:
        read(path, HEAD)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_not_toml_is_refused(path):
    save(path, {}, {"pdeinv_problem_config": "a = "})
    with pytest.raises(ConfigError, match="attribute pdeinv_problem_config is not valid TOML"):
        read(path, HEAD)


def test_a_missing_file_is_refused(path):
    with pytest.raises(DataSchemaError, match=r"^no such file: .*obs\.nc$"):
        read(path, HEAD)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataSchemaError, match=r"is a folder, expected a file$"):
        read(tmp_path, HEAD)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    save(path, {})
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(DataSchemaError, match=r"read .* as NetCDF-4; it is (empty|truncated)"):
        read(path, HEAD)


def test_text_is_refused(path):
    path.write_text("x, y, u\n1, 2, 3\n")
    with pytest.raises(DataSchemaError, match=r"read .* as NetCDF-4; it is of another format"):
        read(path, HEAD)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"std": 0.1, "rel": 0.1}, r"^give the noise once: --noise-std or --noise-rel, not both$"),
        ({"std": -0.1}, r"^--noise-std must be positive and finite, got -0.1$"),
        ({"rel": 0.0}, r"^--noise-rel must be positive and finite, got 0$"),
        ({"rel": np.nan}, r"^--noise-rel must be positive and finite, got nan$"),
        ({"rms": -1.0}, r"^--noise-rms must be positive and finite, got -1$"),
        ({"rms": 0.1, "rel": 0.1}, r"^give the noise once: --noise-rel or --noise-rms, not both$"),
    ],
)
def test_bad_noise_flags_are_refused(settings, message):
    with pytest.raises(DataSchemaError, match=message):
        NoiseSpec(**settings)


def test_relative_noise_of_nothing_is_refused():
    with pytest.raises(DataSchemaError, match=r"all zero is zero; use --noise-std$"):
        NoiseSpec(rel=0.1).for_values(np.zeros(3))


def observations(noise):
    coords = {"x": np.array([0.0, 0.5, 1.0]), "y": np.array([1.0, 1.5, 2.0])}
    return Observations(HEAD, np.array([1.0, 2.0, 3.0]), coords, noise)


@pytest.mark.parametrize(
    "noise", [Noise(np.array([0.1, 0.2, 0.3])), Noise.from_covariance(np.eye(3) + 0.2)]
)
def test_written_and_read_again_they_are_the_same(path, noise):
    netcdf.write(path, to_dataset(observations(noise), {"pdeinv_problem": "darcy"}))
    found = read(path, HEAD)
    np.testing.assert_array_equal(found.values, [1, 2, 3])
    np.testing.assert_array_equal(found.coords["y"], [1, 1.5, 2])
    np.testing.assert_array_equal(found.noise.std, noise.std)
    if noise.covariance is not None:
        np.testing.assert_array_equal(found.noise.covariance, noise.covariance)
    assert found.problem == "darcy"


def test_the_layout_is_cf_discrete_samples():
    dataset = to_dataset(observations(Noise.from_covariance(np.eye(3))), {"Conventions": "CF-1.11"})
    assert dataset.attrs == {"Conventions": "CF-1.11", "featureType": "point"}
    assert dataset.u.attrs["ancillary_variables"] == "u_sigma"
    assert dataset.u_cov.attrs["units"] == "(m)^2"
    assert dataset.x.attrs["axis"] == "X"
    for name in (*dataset.data_vars, "x", "y"):
        assert {"units", "long_name"} <= set(dataset[name].attrs)


def test_a_coordinate_that_is_no_axis_of_cf_is_not_called_one():
    angle = Observed("u", "1", "far field", {"angle": "degree"})
    data = Observations(angle, np.ones(2), {"angle": np.arange(2.0)}, Noise(np.ones(2)))
    assert "axis" not in to_dataset(data, {}).angle.attrs


def test_the_file_opens_without_pdeinv(path):
    netcdf.write(path, to_dataset(observations(Noise(np.full(3, 0.1))), {"pdeinv_seed": 1}))
    code = (
        "import sys; sys.modules['pdeinv'] = None; import xarray;"
        f"d = xarray.open_dataset({str(path)!r});"
        "print(d.u.values.tolist(), d.u.units, d.x.values.tolist(), d.u_sigma.dims)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[1.0, 2.0, 3.0] m [0.0, 0.5, 1.0] ('obs',)\n"


def test_noise_relative_to_the_root_mean_square():
    noise = NoiseSpec(rms=0.5).for_values(np.array([3.0, -4.0, 0.0, 0.0]))
    np.testing.assert_allclose(noise.std, 1.25)
