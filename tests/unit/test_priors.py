"""Priors: derivative actions of every map xi to m, products, and the cost in xi."""

import numpy as np
import pytest

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior, cost, sample
from pdeinv.bayes.prior_config import (
    GaussianConfig,
    LogGaussianConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
)
from pdeinv.bayes.transforms import Exponential
from pdeinv.errors import CapabilityError


def make(config, name):
    return build(config, name=name, units="1", long_name=name)


KL = make(LogGaussianConfig(grid=(6, 5), mean=1.0, modes=8), "kl")
FFT = make(LogGaussianConfig(representation="fft", grid=(6, 5)), "fft")
PLAIN = make(GaussianConfig(grid=(6, 5), mean=-2.0, modes=8), "plain")
CELLS = make(PiecewiseConfig(cells=(2, 3), measure="linear"), "cells")
BOX = make(UniformConfig(low=1.0, high=3.0, cells=(2, 2)), "box")
PHASES = make(TwoPhaseConfig(grid=(6, 5), modes=3), "phases")
SMOOTH = {
    "kl": KL,
    "fft": FFT,
    "plain": PLAIN,
    "cells": CELLS,
    "box": BOX,
    "product": ProductPrior((KL, BOX, CELLS)),
}


@pytest.fixture(params=SMOOTH, name="prior")
def _prior(request):
    return SMOOTH[request.param]


def taylor_slope(prior, jvp, rng):
    """The order of |m(xi + h d) - m(xi) - h dm(xi)[d]| in h."""
    xi, d = rng.standard_normal((2, prior.dim))
    h = np.array([1e-1, 1e-2, 1e-3])
    base, tangent = prior.unwhiten(xi), jvp(xi, d)
    rest = [np.linalg.norm(prior.unwhiten(xi + s * d) - base - s * tangent) for s in h]
    return np.polyfit(np.log(h), np.log(np.maximum(rest, 1e-15)), 1)[0]


def test_every_prior_meets_the_protocol(prior):
    assert isinstance(prior, Prior)
    m = sample(prior, np.random.default_rng(0), 3)
    assert m.shape == (3, prior.space.size)
    assert np.isfinite(m).all()


@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "plain"])
def test_jvp_passes_the_taylor_test(name):
    prior = SMOOTH[name]
    assert taylor_slope(prior, prior.unwhiten_jvp, np.random.default_rng(0)) > 1.9


def test_jvp_of_a_gaussian_prior_is_exact():
    xi, d = np.random.default_rng(0).standard_normal((2, PLAIN.dim))
    step = PLAIN.unwhiten(xi + d) - PLAIN.unwhiten(xi)
    np.testing.assert_allclose(step, PLAIN.unwhiten_jvp(xi, d), rtol=1e-12, atol=1e-13)


def test_a_wrong_jvp_fails_the_taylor_test():
    def wrong(xi, d):
        return KL.unwhiten(xi) * 1.01 * KL.field.apply(d)

    assert taylor_slope(KL, wrong, np.random.default_rng(0)) < 1.5


def dot_gap(prior, vjp, rng):
    xi, d = rng.standard_normal((2, prior.dim))
    w = rng.standard_normal(prior.space.size)
    tangent = prior.unwhiten_jvp(xi, d)
    return abs(tangent @ w - d @ vjp(xi, w)) / (np.linalg.norm(tangent) * np.linalg.norm(w))


def test_vjp_is_the_transpose_of_jvp(prior):
    assert prior.differentiable
    assert dot_gap(prior, prior.unwhiten_vjp, np.random.default_rng(0)) < 1e-12


def test_a_vjp_without_the_transform_fails_the_dot_product_test():
    def wrong(xi, w):
        return KL.field.apply_transpose(w)

    assert dot_gap(KL, wrong, np.random.default_rng(0)) > 1e-3


def test_batches_equal_single_points(prior):
    xi = np.random.default_rng(0).standard_normal((2, 3, prior.dim))
    m = prior.unwhiten(xi)
    assert m.shape == (2, 3, prior.space.size)
    np.testing.assert_allclose(m[1, 2], prior.unwhiten(xi[1, 2]), rtol=1e-12)


def test_the_mean_enters_before_the_transform():
    prior = FieldPrior(KL.space, KL.field, Exponential())
    np.testing.assert_allclose(prior.unwhiten(np.zeros(8)), np.e)
    np.testing.assert_allclose(prior.gaussian(np.zeros(8)), 1.0)


def test_a_product_concatenates_its_factors():
    product = ProductPrior((KL, PHASES, BOX))
    xi = np.random.default_rng(0).standard_normal(product.dim)
    parts = np.split(xi, [KL.dim, KL.dim + PHASES.dim])
    m = np.concatenate([p.unwhiten(x) for p, x in zip((KL, PHASES, BOX), parts, strict=True)])
    np.testing.assert_array_equal(product.unwhiten(xi), m)
    assert product.space.names == ("kl", "phases", "box")
    assert product.dim == KL.dim + PHASES.dim + BOX.dim


def test_a_product_is_differentiable_when_all_factors_are():
    assert not ProductPrior((KL, PHASES)).differentiable
    assert ProductPrior((KL, BOX)).differentiable


@pytest.mark.parametrize("prior", [PHASES, ProductPrior((KL, PHASES))])
def test_a_level_set_prior_refuses_derivatives(prior):
    xi, w = np.zeros(prior.dim), np.zeros(prior.space.size)
    with pytest.raises(CapabilityError, match="a level-set unknown has no derivative"):
        prior.unwhiten_jvp(xi, xi)
    with pytest.raises(CapabilityError, match="a level-set unknown has no derivative"):
        prior.unwhiten_vjp(xi, w)


def test_the_cost_is_half_the_square_of_xi():
    np.testing.assert_allclose(cost(np.array([[3.0, 4.0], [0.0, 2.0]])), [12.5, 2.0])
