"""Circulant embedding: the exact covariance, and what happens where it cannot be."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pdeinv.bayes.fields.fft import CirculantField, covariance_action
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError

LINE = RegularGrid(((0.0, 3.0),), (40,))
OBLONG = RegularGrid(((0.0, 2.0), (0.0, 1.0)), (13, 9))
BOX = RegularGrid(((0.0, 1.0), (0.0, 1.0), (0.0, 0.5)), (6, 5, 4))


@pytest.mark.parametrize("grid", [LINE, OBLONG, BOX], ids=["1-D", "2-D", "3-D"])
@pytest.mark.parametrize("nu", [0.5, 1.0, 1.5, 2.5])
def test_covariance_is_exact(grid, nu):
    covariance = Matern(nu, 0.3, 1.4)
    field = CirculantField.on_grid(grid, covariance)
    found = field.apply(field.apply_transpose(np.eye(grid.size)))
    np.testing.assert_allclose(found, covariance(cdist(grid.points, grid.points)), atol=1e-10)
    assert field.clipped == 0


def test_a_squared_exponential_is_exact_too():
    covariance = Matern(math.inf, 0.25)
    field = CirculantField.on_grid(OBLONG, covariance)
    found = field.apply(field.apply_transpose(np.eye(OBLONG.size)))
    np.testing.assert_allclose(found, covariance(cdist(OBLONG.points, OBLONG.points)), atol=1e-10)


def test_the_torus_grows_with_the_length():
    short, long = (CirculantField.on_grid(OBLONG, Matern(1.5, le)) for le in (0.2, 0.8))
    assert short.dim < long.dim


def test_the_product_with_the_covariance_is_exact():
    covariance = Matern(1.5, 2.0)
    x = np.random.default_rng(0).standard_normal(OBLONG.size)
    found = covariance_action(OBLONG, covariance)(x)
    exact = covariance(cdist(OBLONG.points, OBLONG.points)) @ x
    np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-11)


def test_a_torus_that_stays_indefinite_is_refused():
    message = r"^representation 'fft': smoothness 1.5 with length 2 is indefinite on a torus of"
    with pytest.raises(ConfigError, match=message + r".*shorten the length or use 'kl'$"):
        CirculantField.on_grid(OBLONG, Matern(1.5, 2.0), max_points=1000)


def test_the_clipped_share_is_exposed_and_bounds_the_error():
    covariance = Matern(1.5, 2.0)
    field = CirculantField.on_grid(OBLONG, covariance, max_points=1000, tolerance=0.5)
    found = field.apply(field.apply_transpose(np.eye(OBLONG.size)))
    error = np.abs(found - covariance(cdist(OBLONG.points, OBLONG.points))).max()
    assert 1e-6 < field.clipped < 0.5
    assert 1e-6 < error <= 2 * field.clipped * covariance.std**2
