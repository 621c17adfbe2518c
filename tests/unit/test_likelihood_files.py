"""Observation files of zeros and ones, read and inverted."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.dice import Dice
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec, Observations, read, to_dataset
from pdeinv.model.observed import Observed

PASSED = Observed("passed", "1", "whether it passed", {"x": "m"}, latent=True)
SERIES = Observed("passed", "1", "whether it passed", {"x": "m", "t": "s"}, latent=True)
DOSE = np.linspace(-2, 2, 40)
LAW = Bernoulli(40, "threshold", 0.5)


def zeros_and_ones():
    return np.where(DOSE > 0.3, 1.0, 0.0)


@pytest.fixture(name="path")
def _path(tmp_path):
    given = Observations(PASSED, zeros_and_ones(), {"x": DOSE}, LAW)
    netcdf.write(tmp_path / "obs.nc", to_dataset(given, {}))
    return tmp_path / "obs.nc"


def changed(path, change):
    dataset = xr.load_dataset(path)
    change(dataset)
    netcdf.write(path, dataset)


def test_what_is_written_is_read_again(path):
    found = read(path, PASSED)
    assert found.likelihood == LAW
    assert "passed_sigma" not in xr.load_dataset(path)
    np.testing.assert_array_equal(found.values, zeros_and_ones())


def test_time_series_keep_their_likelihood(tmp_path):
    x, t = np.repeat([0.0, 1.0], 3), np.tile([0.0, 1.0, 2.0], 2)
    given = Observations(SERIES, np.array([0.0, 0, 1, 0, 1, 1]), {"x": x, "t": t}, Bernoulli(6))
    netcdf.write(tmp_path / "obs.nc", to_dataset(given, {}))
    assert set(xr.load_dataset(tmp_path / "obs.nc")["passed"].dims) == {"station", "time"}
    assert read(tmp_path / "obs.nc", SERIES).likelihood == Bernoulli(6)


def test_missing_data_are_left_out(path):
    changed(path, lambda d: d["passed"].values.__setitem__(3, np.nan))
    assert read(path, PASSED).likelihood.size == 39


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["passed"].values.__setitem__(3, 0.4),
            r"usable datum 3 is 0\.4",
        ),
        (lambda d: d["passed"].attrs.update(likelihood="poisson"), "got 'poisson'"),
        (lambda d: d["passed"].attrs.update(likelihood_link="probit"), "'probit' is unknown"),
        (lambda d: d["passed"].attrs.update(likelihood_weight=-1.0), "weight must be positive"),
        (lambda d: d["passed"].attrs.update(likelihood_weight="half"), "must be a number"),
        (lambda d: d["passed"].attrs.update(likelihood_weight=2.0), "above 0 and at most 1, got 2"),
    ],
)
def test_what_cannot_be_is_refused(path, change, message):
    changed(path, change)
    with pytest.raises(DataSchemaError, match=message) as refused:
        read(path, PASSED)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("masks", [None, np.arange(40) // 20])
def test_scores_are_read_again(path, masks):
    held = (0,) * 40 if masks is None else tuple(map(int, masks))
    given = Observations(PASSED, np.tile([0.0, 1.0], 20), {"x": DOSE}, Dice(held, "threshold"))
    netcdf.write(path, to_dataset(given, {}))
    assert read(path, PASSED).likelihood == Dice(held, "threshold")


def test_masks_are_one_whole_number_for_each_datum(path):
    for masks in (np.arange(3), np.linspace(0, 1, 40)):
        changed(path, lambda d, m=masks: d["passed"].attrs.update(
            likelihood="dice", likelihood_masks=m))  # fmt: skip
        with pytest.raises(DataSchemaError, match="must be 40 whole numbers"):
            read(path, PASSED)


def test_an_empty_mask_is_refused(path):
    changed(path, lambda d: d["passed"].attrs.update(
        likelihood="dice", likelihood_masks=np.where(DOSE < 0, 7, 8)))  # fmt: skip
    with pytest.raises(DataSchemaError, match="mask 7 is empty"):
        read(path, PASSED)


def test_a_quantity_that_is_no_z_has_no_such_data(path):
    with pytest.raises(DataSchemaError, match="predicts the quantity itself and not the z"):
        read(path, replace(PASSED, latent=False))


@pytest.mark.parametrize("weight", [2.0, 0.0, "half"])
def test_an_effective_share_is_at_most_one(weight):
    with pytest.raises(ConfigError, match="weight must be a number above 0 and at most 1"):
        pdeinv.likelihoods.bernoulli(weight=weight)


def test_noise_given_besides_is_refused(path):
    with pytest.raises(DataSchemaError, match="leave out --noise-std"):
        read(path, PASSED, NoiseSpec(std=0.1))


def model():
    prior = pdeinv.priors.normal("threshold", mean=0.0, std=1.0)
    slope = pdeinv.priors.lognormal("steepness", median=2.0, std=0.5)
    return pdeinv.own_model(lambda m: m[1] * (DOSE - m[0]), prior=[prior, slope])


def model_with_gradient():
    prior = pdeinv.priors.normal("threshold", mean=0.0, std=1.0)
    return pdeinv.own_model(lambda m: 6 * (DOSE - m[0]), prior=prior, gradient="finite-difference")


def test_an_own_model_of_zeros_and_ones_is_inverted(tmp_path):
    data = (zeros_and_ones(), pdeinv.likelihoods.bernoulli())
    how = {"draws": 4000, "warmup": 500, "chains": 2, "seed": 1}
    result = pdeinv.invert(data, model=model(), engine="pcn", out=tmp_path / "r.nc", **how)
    assert abs(float(result["estimates"]["threshold_mean"]) - 0.3) < 0.15
    noisy = result["posterior_predictive"]
    assert set(np.unique(next(iter(noisy.data_vars.values())).values)) <= {0.0, 1.0}
    assert "noise_std" not in result["constant_data"]
    pdeinv.plot(tmp_path / "r.nc", out=tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_an_engine_of_additive_noise_says_so():
    data = (zeros_and_ones(), pdeinv.likelihoods.bernoulli())
    with pytest.raises(CapabilityError, match="'gaussian' takes data whose likelihood is of kind"):
        pdeinv.invert(data, model=model(), engine="gaussian", seed=1)


def test_a_score_gives_a_point_and_no_posterior():
    data = (zeros_and_ones(), pdeinv.likelihoods.dice())
    point = pdeinv.invert(data, model=model_with_gradient(), engine="map", seed=1)
    assert abs(float(point["estimates"]["threshold_mean"]) - 0.3) < 0.2
    assert list(point["posterior_predictive"].data_vars) == ["data_noise_free"]
    with pytest.raises(CapabilityError, match="'pcn' takes data whose likelihood is of kind"):
        pdeinv.invert(data, model=model(), engine="pcn", seed=1)
