"""Pointwise transforms: values, derivatives, thresholds."""

import numpy as np
import pytest

from pdeinv.bayes.transforms import Exponential, Identity, Interval, LevelSet
from pdeinv.errors import CapabilityError, ConfigError

X = np.linspace(-3, 3, 13)
SMOOTH = [Identity(), Exponential(), Interval(np.array(2.0), np.array(5.0))]


@pytest.mark.parametrize("transform", SMOOTH, ids=lambda t: type(t).__name__)
def test_the_derivative_is_the_derivative(transform):
    assert transform.differentiable
    h = 1e-5
    numeric = (transform(X + h) - transform(X - h)) / (2 * h)
    np.testing.assert_allclose(transform.derivative(X), numeric, rtol=1e-8)


def test_values():
    np.testing.assert_array_equal(Identity()(X), X)
    np.testing.assert_allclose(Exponential()(np.array([0.0, 1.0])), [1.0, np.e])
    interval = Interval(np.array(2.0), np.array(5.0))
    np.testing.assert_allclose(interval(np.array([-50.0, 0.0, 50.0])), [2.0, 3.5, 5.0])


def test_phases_change_at_the_thresholds():
    phases = LevelSet((-1.0, 0.5), (10.0, 20.0, 5.0))
    x = np.array([[-np.inf, -1.0000001, -1.0], [0.4999999, 0.5, np.inf]])
    np.testing.assert_array_equal(phases(x), [[10, 10, 20], [20, 5, 5]])


def test_a_level_set_has_no_derivative():
    phases = LevelSet((0.0,), (1.0, 2.0))
    assert not phases.differentiable
    with pytest.raises(
        CapabilityError, match=r"^a level-set unknown has no derivative; use an engine"
    ):
        phases.derivative(X)


@pytest.mark.parametrize(
    ("thresholds", "values"),
    [((0.0,), (1.0,)), ((1.0, 0.0), (1.0, 2.0, 3.0)), ((0.0, 0.0), (1, 2, 3))],
)
def test_phases_that_do_not_fit_are_refused(thresholds, values):
    with pytest.raises(
        ConfigError, match=r"^level set: expected increasing thresholds and one more"
    ):
        LevelSet(thresholds, values)


def test_blended_phases_have_a_derivative_and_tend_to_the_jump():
    x = np.linspace(-3, 3, 41)
    blended = LevelSet((-1.0, 0.5), (10.0, 20.0, 5.0), 0.3)
    assert blended.differentiable
    slope = (blended(x + 1e-6) - blended(x - 1e-6)) / 2e-6
    assert np.allclose(blended.derivative(x), slope, atol=1e-6)
    away = np.min(np.abs(x[:, None] - [-1.0, 0.5]), axis=1) > 0.01
    sharp, thin = (LevelSet((-1.0, 0.5), (10.0, 20.0, 5.0), w) for w in (0.0, 1e-3))
    assert np.allclose(sharp(x)[away], thin(x)[away])
    assert not np.allclose(sharp(x)[away], blended(x)[away], atol=0.1)
