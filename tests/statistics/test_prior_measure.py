"""Independent unknowns have the density that their configuration states, measure included."""

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest, lognorm

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.prior import sample
from pdeinv.bayes.prior_config import PiecewiseConfig, UniformConfig
from pdeinv.rng import stream

MEAN, STD = 0.4, 0.8
M = np.exp(np.linspace(MEAN - 9 * STD, MEAN + 12 * STD, 200_001))


def stated_cdf(measure):
    """The distribution function on M from the stated density alone, by quadrature."""
    density = np.exp(-((np.log(M) - MEAN) ** 2) / (2 * STD**2))
    # 'linear': density dm; 'log': density d(ln m).
    mass = cumulative_trapezoid(density, M if measure == "linear" else np.log(M), initial=0)
    return mass / mass[-1]


def piecewise(measure):
    config = PiecewiseConfig(cells=(5, 4), mean=MEAN, std=STD, measure=measure)
    return build(config, name="m", units="1", long_name="m")


def prior_cdf(measure):
    """The distribution function on M of the prior's own map."""
    field = piecewise(measure).field
    return lognorm.cdf(M, s=field.std[0], scale=np.exp(field.mean[0]))


@pytest.mark.parametrize("measure", ["log", "linear"])
def test_the_map_has_the_stated_density(measure):
    assert np.abs(prior_cdf(measure) - stated_cdf(measure)).max() < 1e-7
    other = "linear" if measure == "log" else "log"
    assert np.abs(prior_cdf(measure) - stated_cdf(other)).max() > 0.2


@pytest.mark.parametrize("measure", ["log", "linear"])
def test_draws_follow_the_stated_density(measure):
    m = sample(piecewise(measure), stream(3, "prior"), 200).ravel()
    other = "linear" if measure == "log" else "log"
    assert kstest(m, lambda q: np.interp(q, M, stated_cdf(measure))).pvalue > 1e-3
    assert kstest(m, lambda q: np.interp(q, M, stated_cdf(other))).pvalue < 1e-9


def test_the_measures_differ_by_the_factor_exp_std_squared():
    xi = stream(3, "prior").standard_normal(20)
    ratio = piecewise("linear").unwhiten(xi) / piecewise("log").unwhiten(xi)
    np.testing.assert_allclose(ratio, np.exp(STD**2), rtol=1e-13)


def test_cells_are_independent():
    x = np.log(sample(piecewise("log"), stream(4, "prior"), 4000))
    correlation = np.corrcoef(x.T) - np.eye(20)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(4000)
    x[:, 0] += 0.2 * x[:, 1]
    assert np.abs(np.corrcoef(x.T) - np.eye(20)).max() > 4.5 / np.sqrt(4000)


def test_a_box_is_uniform():
    prior = build(
        UniformConfig(low=-1.0, high=3.0, cells=(2, 2)), name="m", units="1", long_name=""
    )
    m = sample(prior, stream(5, "prior"), 1000).ravel()
    assert kstest(m, "uniform", args=(-1, 4)).pvalue > 1e-3
    assert kstest(m, "uniform", args=(-1, 4.4)).pvalue < 1e-3
