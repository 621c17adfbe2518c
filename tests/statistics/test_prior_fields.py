"""Draws of every field have the mean and covariance that its configuration promises."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.prior import sample
from pdeinv.bayes.prior_config import GaussianConfig, TwoPhaseConfig
from pdeinv.rng import stream

N = 4000
GRID = RegularGrid(((0.0, 1.0), (0.0, 1.0)), (7, 7))
PICK = np.arange(0, 49, 4)
"""Nodes whose covariances are compared: 13, hence 91 pairs."""


def draws(**settings):
    config = GaussianConfig(grid=(7, 7), mean=1.7, std=1.3, **settings)
    prior = build(config, name="m", units="1", long_name="m")
    return sample(prior, stream(11, "prior"), N)[:, PICK]


def worst_z(m, mean, exact):
    """The largest deviations of sample mean and covariance, in Monte Carlo standard errors."""
    centred = m - mean
    found = centred.T @ centred / len(m)
    variance = np.diag(exact)
    z_cov = (found - exact) / np.sqrt((np.outer(variance, variance) + exact**2) / len(m))
    z_mean = (m.mean(axis=0) - mean) / np.sqrt(variance / len(m))
    return np.abs(z_mean).max(), np.abs(z_cov).max()


@pytest.mark.parametrize(
    ("nu", "settings"),
    [
        (1.5, {"representation": "kl", "modes": 49}),
        (0.5, {"representation": "kl", "modes": 49}),
        (1.5, {"representation": "fft"}),
        (np.inf, {"representation": "fft", "length": 0.3}),
    ],
)
def test_sample_mean_and_covariance_are_those_of_the_matern_field(nu, settings):
    m = draws(smoothness=nu, **settings)
    points = GRID.points[PICK]
    covariance = Matern(nu, settings.get("length", 0.4), 1.3)
    exact = covariance(cdist(points, points))
    z_mean, z_cov = worst_z(m, 1.7, exact)
    assert z_mean < 4
    assert z_cov < 4.5
    wrong = Matern(nu, 1.5 * covariance.length, 1.3)(cdist(points, points))
    assert worst_z(m, 1.7, wrong)[1] > 8
    assert worst_z(m, 1.7, 1.15 * exact)[1] > 5
    assert worst_z(m, 1.5, exact)[0] > 5


def test_a_truncated_expansion_loses_the_variance_that_it_says():
    config = GaussianConfig(grid=(7, 7), modes=5)
    prior = build(config, name="m", units="1", long_name="m")
    m = sample(prior, stream(11, "prior"), N)
    found = GRID.weights @ np.mean(m**2, axis=0)
    spread = np.std(m**2 @ GRID.weights) / np.sqrt(N)
    assert abs(found - prior.field.captured) < 4 * spread
    assert abs(found - 1.0) > 4 * spread


@pytest.mark.parametrize(("threshold", "constant_mode"), [(0.0, True), (0.0, False), (0.7, True)])
def test_each_phase_has_its_probability(threshold, constant_mode):
    from scipy.stats import norm

    config = TwoPhaseConfig(grid=(9, 9), threshold=threshold, constant_mode=constant_mode)
    prior = build(config, name="m", units="1", long_name="m")
    m = sample(prior, stream(12, "prior"), N)
    assert set(np.unique(m)) == {3.0, 12.0}
    std = np.sqrt(np.sum(prior.field.apply(np.eye(prior.dim)) ** 2, axis=0))
    p = norm.sf(threshold / std)
    error = np.sqrt(p * (1 - p) / N)
    found = np.mean(m == 12.0, axis=0)
    assert np.abs((found - p) / error).max() < 4.5
    assert np.abs((found - norm.sf((threshold + 0.3) / std)) / error).max() > 8
