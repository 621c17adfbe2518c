"""Gaussian noise: whitening, misfit and sampling agree with its covariance."""

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.errors import DataSchemaError


def full_covariance():
    a = np.random.default_rng(5).standard_normal((4, 4))
    return a @ a.T + 0.5 * np.eye(4)


def covariance_of(noise):
    return np.diag(noise.std**2) if noise.covariance is None else noise.covariance


CASES = {
    "independent": Noise(np.array([0.5, 1.0, 2.0, 0.1])),
    "full": Noise.from_covariance(full_covariance()),
}


@pytest.fixture(params=CASES, name="noise")
def _noise(request):
    return CASES[request.param]


def test_misfit_is_half_the_weighted_square(noise):
    r = np.random.default_rng(0).standard_normal((3, 4))
    inverse = np.linalg.inv(covariance_of(noise))
    exact = 0.5 * np.einsum("ni,ij,nj->n", r, inverse, r)
    np.testing.assert_allclose(noise.misfit(r, np.zeros(4)), exact, rtol=1e-11)
    assert noise.misfit(r[0], np.zeros(4)) == pytest.approx(exact[0], rel=1e-11)


def test_whitening_keeps_leading_axes(noise):
    r = np.random.default_rng(0).standard_normal((2, 3, 4))
    white = noise.whiten(r)
    assert white.shape == r.shape
    np.testing.assert_allclose(white[1, 2], noise.whiten(r[1, 2]), rtol=1e-13)


def test_whitening_twice_applies_the_inverse_covariance(noise):
    r = np.random.default_rng(0).standard_normal(4)
    twice = noise.whiten_transpose(noise.whiten(r))
    np.testing.assert_allclose(twice, np.linalg.solve(covariance_of(noise), r), rtol=1e-10)


def test_whiten_transpose_is_the_transpose(noise):
    r, w = np.random.default_rng(0).standard_normal((2, 4))
    assert noise.whiten(r) @ w == pytest.approx(r @ noise.whiten_transpose(w), rel=1e-12)


def test_samples_have_the_covariance(noise):
    n = 20_000
    draws = noise.sample(np.random.default_rng(0), n)
    exact = covariance_of(noise)
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / n)
    found = draws.T @ draws / n
    assert np.abs((found - exact) / error).max() < 4
    assert np.abs((found - 1.2 * exact) / error).max() > 10
    assert noise.sample(np.random.default_rng(0)).shape == (4,)


def test_scaling_scales_the_covariance(noise):
    scaled = noise.tempered(4.0)
    np.testing.assert_allclose(covariance_of(scaled), 4 * covariance_of(noise))
    assert scaled.misfit(np.ones(4), np.zeros(4)) == pytest.approx(
        noise.misfit(np.ones(4), np.zeros(4)) / 4
    )


def test_rounding_does_not_break_symmetry():
    covariance = full_covariance()
    covariance[0, 1] += 1e-14
    assert Noise.from_covariance(covariance).size == 4


@pytest.mark.parametrize(
    ("std", "message"),
    [
        ([1.0, 0.0], r"^noise standard deviation must be positive and finite; datum 1 has 0$"),
        ([-1.0, 1.0], r"positive and finite; datum 0 has -1$"),
        ([1.0, np.nan], r"positive and finite; datum 1 has nan$"),
        ([np.inf, 1.0], r"positive and finite; datum 0 has inf$"),
    ],
)
def test_bad_standard_deviations_are_refused(std, message):
    with pytest.raises(DataSchemaError, match=message):
        Noise(np.array(std))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((2, 3)), r"^noise covariance must be square, got shape \(2, 3\)$"),
        (np.ones(3), r"^noise covariance must be square, got shape \(3,\)$"),
        (
            np.array([[1.0, np.nan], [np.nan, 1.0]]),
            r"^noise covariance must be finite; drop or fill",
        ),
        (np.array([[1.0, 0.5], [0.4, 1.0]]), r"^noise covariance must be symmetric; symmetrise it"),
        (
            np.array([[1.0, 2.0], [2.0, 1.0]]),
            r"^noise covariance is not positive definite; add its",
        ),
        (np.array([[-1.0, 0.0], [0.0, 1.0]]), r"^noise standard deviation must be positive"),
    ],
)
def test_bad_covariances_are_refused(covariance, message):
    with pytest.raises(DataSchemaError, match=message):
        Noise.from_covariance(covariance)


def test_an_independent_error_adds_its_variance(noise):
    variance = np.array([0.3, 0.0, 2.0, 1e-4])
    wide = noise.plus(variance)
    exact = covariance_of(noise) + np.diag(variance)
    np.testing.assert_allclose(covariance_of(wide), exact, rtol=1e-12)
    np.testing.assert_allclose(wide.std, np.sqrt(np.diag(exact)), rtol=1e-12)
