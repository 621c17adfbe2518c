"""A cheap model that a tangent corrects: first order at the point, right derivatives everywhere."""

import numpy as np
import pytest

from pdeinv.bayes.posterior import xi_space
from pdeinv.model.forward import Capability, Linearization, LinearModel
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.tangent import Tangent

DIM, N = 4, 7
MIX = np.random.default_rng(1).standard_normal((N, DIM)) / 2
DATA = Space((Variable("y", ("datum",), (N,)),))
POINT = np.array([0.4, -0.3, 0.2, 0.1])


class Wave:
    """x ↦ factor · sin(A x) + shift."""

    kind = "reference"
    capabilities = frozenset({Capability.BATCH, Capability.JVP, Capability.VJP})
    m_space, d_space = xi_space(DIM), DATA

    def __init__(self, factor, shift):
        self.factor, self.shift = factor, shift

    def __call__(self, x):
        return self.factor * np.sin(x @ MIX.T) + self.shift

    def linearize(self, x):
        slope = self.factor * np.cos(MIX @ x)
        return Linearization(self(x), lambda v: slope * (MIX @ v), lambda w: MIX.T @ (slope * w))


FINE, COARSE = Wave(1.0, 0.2), Wave(0.8, 0.0)


def tangent(rank=DIM):
    at = FINE.linearize(POINT)
    directions, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((DIM, rank)))
    return Tangent.along(directions, POINT, at.value, at.jvp)


def order(model, direction):
    """Of the error against the fine model along a direction."""
    h = np.array([1e-1, 1e-2, 1e-3])
    errors = [np.linalg.norm(model(POINT + s * direction) - FINE(POINT + s * direction)) for s in h]
    return np.diff(np.log(errors)) / np.diff(np.log(h))


@pytest.mark.parametrize("rank", [1, DIM])
def test_error_is_of_second_order_along_the_known_directions(rank):
    known = tangent(rank)
    difference = known.less(COARSE)

    def model(x):
        return COARSE(x) + difference(x)

    np.testing.assert_allclose(model(POINT), FINE(POINT), rtol=1e-13)
    assert order(model, known.directions[:, 0]).min() > 1.9
    if rank < DIM:  # negative controls: an unknown direction, and the coarse model itself
        across = np.linalg.qr(known.directions, mode="complete")[0][:, -1]
        assert order(model, across).max() < 1.1
    assert abs(order(COARSE, known.directions[:, 0])[-1]) < 0.1


def test_tangent_of_a_linear_model_is_the_model():
    exact = LinearModel(xi_space(DIM), DATA, MIX, np.arange(N, dtype=float))
    difference = Tangent.along(np.eye(DIM), POINT, exact(POINT), exact.linearize(POINT).jvp)
    x, w = np.random.default_rng(4).standard_normal(DIM), np.arange(N) - 2.0
    np.testing.assert_allclose(difference(x), exact(x), rtol=1e-12)
    np.testing.assert_allclose(difference.vjp(w), MIX.T @ w, rtol=1e-12)


def test_arrays_come_back():
    known = tangent(2)
    again = Tangent.from_arrays(known.arrays())
    x = np.random.default_rng(5).standard_normal((3, DIM))
    np.testing.assert_array_equal(again(x), known(x))
    assert Tangent.from_arrays({"other": x}) is None
