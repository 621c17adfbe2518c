"""The Matérn covariance: elementary forms, limits, scale and refused parameters."""

import math

import numpy as np
import pytest

from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError

R = np.array([0.0, 1e-9, 0.05, 0.2, 0.7, 3.0])


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_elementary_forms_equal_the_bessel_form(nu):
    elementary = Matern(nu, 0.3, 2.0)(R)
    bessel = Matern(nu * (1 + 1e-12), 0.3, 2.0)(R)
    np.testing.assert_allclose(elementary, bessel, rtol=1e-9, atol=1e-12)


def test_the_exponential_covariance_is_smoothness_one_half():
    np.testing.assert_allclose(Matern(0.5, 0.3, 2.0)(R), 4 * np.exp(-R / 0.3), rtol=1e-14)


def test_high_smoothness_tends_to_the_squared_exponential():
    limit = Matern(math.inf, 0.3)(R)
    gaps = [np.abs(Matern(nu, 0.3)(R) - limit).max() for nu in (5.0, 10.0, 20.0)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.02
    np.testing.assert_allclose(limit, np.exp(-0.5 * (R / 0.3) ** 2), rtol=1e-14)


@pytest.mark.parametrize("nu", [0.1, 0.5, 1.0, 1.7, 20.0, math.inf])
def test_variance_at_zero_and_decay(nu):
    covariance = Matern(nu, 0.3, 1.5)
    values = covariance(np.concatenate([[0.0], np.geomspace(1e-14, 30, 200)]))
    assert values[0] == pytest.approx(2.25, rel=1e-14)
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) <= 1e-12)


@pytest.mark.parametrize("nu", [1.0, 1.5, 3.0])
def test_practical_range_is_two_lengths(nu):
    covariance = Matern(nu, 0.25)
    assert math.sqrt(8 * nu) / covariance.kappa == pytest.approx(0.5)
    assert 0.12 < covariance(np.array(0.5)) < 0.15


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0.0, 0.3, 1.0), r"^smoothness must be positive \(or inf\), got 0$"),
        ((math.nan, 0.3, 1.0), r"^smoothness must be positive \(or inf\), got nan$"),
        ((1.5, -0.3, 1.0), r"^length must be positive and finite, got -0.3$"),
        ((1.5, 0.3, math.inf), r"^std must be positive and finite, got inf$"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ConfigError, match=message):
        Matern(*parameters)
