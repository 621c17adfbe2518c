"""Products with Hessians of several points at once: the bits of each are its own, and who pays."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.bayes.products import Along, products_alone, products_together
from pdeinv.model.forward import DERIVATIVES, Capability
from pdeinv.plugins.recipe import make_problem

LINEAR = LinearGaussian.example(np.random.default_rng(2), 16, 6)
RNG = np.random.default_rng(0)
N = 64
XI = 0.5 * RNG.standard_normal((N, 16))
VS = RNG.standard_normal((N, 16))


def darcy():
    config = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [4, 4]}}
    problem = make_problem("darcy", config)
    model = problem.forward_model(problem.sensors("grid:3x3"), 0)
    prior, n = problem.prior(), model.d_space.size
    return Posterior(prior, WhitenedModel(prior, model), np.zeros(n), Noise(np.full(n, 0.1)))


CASES = {"linear": LINEAR.posterior, "darcy": darcy}


@pytest.fixture(params=sorted(CASES))
def on(request):
    return CASES[request.param]()


def alongs(on, places, k=1):
    """One direction at each of these points, or the first ``k`` at each."""
    points = on.linearize_rows(XI[places]).values
    picked = [VS[i : i + 1] if k == 1 else VS[:k] for i in places]
    return [Along(XI[i], p, v, Counters()) for i, p, v in zip(places, points, picked, strict=True)]


def products(on, asked):
    return products_together(on.model, on.law, asked)


def test_a_product_does_not_depend_on_who_else_asks(on):
    whole = products(on, alongs(on, range(N)))
    for n in (1, 2, 3, 7):
        for found, other in zip(products(on, alongs(on, range(n))), whole[:n], strict=True):
            assert np.array_equal(found, other)
    turned = RNG.permutation(N)
    for i, found in zip(turned, products(on, alongs(on, turned)), strict=True):
        assert np.array_equal(found, whole[i])
    many = products(on, alongs(on, [5, 6], 10))[0]
    for i in range(10):
        one = Along(XI[5], on.linearize(XI[5]), VS[i : i + 1], Counters())
        assert np.array_equal(products(on, [one])[0][0], many[i])


def test_points_that_asked_together_keep_their_rows(on):
    asked = alongs(on, range(5))
    first = products(on, asked)
    rows = asked[0].at.seat.rows
    few = products(on, [asked[3], asked[1]])
    assert np.array_equal(few[0], first[3])
    assert np.array_equal(few[1], first[1])
    assert all(a.at.seat.rows is rows for a in asked)
    products(on, [asked[2], *alongs(on, [9])])
    assert asked[2].at.seat.rows is not rows
    assert np.array_equal(products(on, asked)[4], first[4])


def test_products_are_those_of_each_point_and_are_charged_alike(on):
    for asked in (alongs(on, range(3)), alongs(on, [4], 7)):
        for found, along in zip(products(on, asked), asked, strict=True):
            k = len(along.directions)
            assert along.counters == Counters(n_tangent=k, n_adjoint=k)
            np.testing.assert_allclose(found, products_alone(along), rtol=1e-9, atol=1e-12)


class Broken:
    """A model whose tangents along directions with a large first component are no numbers."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def linearize_rows(self, ms):
        found = self._model.linearize_rows(ms)

        def jvp(dms):
            out = found.jvp(dms)
            out[dms[:, 0] > 50] = np.nan
            return out

        return replace(found, jvp=jvp)


@pytest.mark.parametrize("k", [1, 4])
def test_a_product_that_fails_fails_alone(k):
    on = LINEAR.posterior()
    whole = products(on, alongs(on, range(4), k))
    on.model = Broken(on.model)
    asked = alongs(on, range(4), k)
    bad = asked[2].directions.copy()
    bad[-1, 0] = 99.0
    asked[2] = replace(asked[2], directions=bad)
    found = products(on, asked)
    assert np.isnan(found[2][-1]).all()
    assert np.array_equal(found[2][:-1], whole[2][:-1])
    assert all(np.array_equal(found[i], whole[i]) for i in (0, 1, 3))
    assert asked[2].counters == Counters(n_tangent=k, n_adjoint=k - 1, n_failed=1)
    assert asked[3].counters == Counters(n_tangent=k, n_adjoint=k)


def test_a_model_without_rows_is_asked_one_by_one():
    on = LINEAR.posterior()
    inner = replace(on.model.model, capabilities=DERIVATIVES)
    on.model = WhitenedModel(on.prior, inner)
    assert Capability.ROWS not in on.model.capabilities
    along = Along(XI[0], on.linearize(XI[0]), VS[:3], on.counters)
    expected = np.array([along.at.gauss_newton(v) for v in VS[:3]])
    assert np.array_equal(products_alone(along), expected)
