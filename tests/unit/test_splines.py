"""Splines of grid values: exact on cubics, with derivatives and transposes; formulas as tensors."""

import numpy as np
import pytest
import torch

from pdeinv.fem.expressions import Expression
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.fem.splines import spline_field

AXES = [np.linspace(0, 1, 6), np.linspace(-1, 1, 7), np.linspace(2, 3, 5)]
CUBIC = {
    1: (lambda x: x**3 - x, [lambda x: 3 * x**2 - 1]),
    2: (lambda x, y: x**3 * y - y**2, [lambda x, y: 3 * x**2 * y, lambda x, y: x**3 - 2 * y]),
    3: (
        lambda x, y, z: x**2 * y + z**3 * x,
        [lambda x, y, z: 2 * x * y + z**3, lambda x, _y, _z: x**2, lambda x, _y, z: 3 * z**2 * x],
    ),
}


@pytest.mark.parametrize("d", [1, 2, 3])
def test_cubics_are_exact_with_their_slopes(d):
    axes, (value, slopes) = AXES[:d], CUBIC[d]
    rng = np.random.default_rng(0)
    low, high = (np.array([pick(a) for a in axes]) for pick in (np.min, np.max))
    points = low + (high - low) * rng.random((20, d))
    m = value(*np.meshgrid(*axes[::-1], indexing="ij")[::-1]).ravel()
    np.testing.assert_allclose(spline_field(axes, points)(m), value(*points.T), atol=1e-12)
    for i, slope in enumerate(slopes):
        field = spline_field(axes, points, along=i)
        np.testing.assert_allclose(field(m), slope(*points.T) + 0 * points[:, 0], atol=1e-10)
        w, dm = rng.standard_normal(20), rng.standard_normal(m.size)
        assert field.jvp(m, dm) @ w == pytest.approx(dm @ field.vjp(m, w), rel=1e-12)


FORMULAS = [
    "1 + 0.5*sin(2*pi*x)*y^2 - x/3",
    "exp(-x) + log(1 + y) + sqrt(2 + x) - tanh(y)",
    "max(x, y) + min(x, 0.5) + abs(x - y) + where(x > y, x, 2*y)",
    "2",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_of_tensors_is_the_formula_of_arrays(text):
    x, y = np.random.default_rng(0).random((2, 30))
    formula = Expression(text)
    tensors = [torch.as_tensor(v).requires_grad_() for v in (x, y)]
    value = formula.tensors(*tensors)
    np.testing.assert_allclose(value.detach().numpy(), formula(x, y), rtol=1e-14)
    if formula.uses("x"):
        (slope,) = torch.autograd.grad(value.sum(), tensors[0])
        h = 1e-6
        differences = (formula(x + h, y) - formula(x - h, y)) / (2 * h)
        np.testing.assert_allclose(slope.numpy(), differences, atol=1e-7)


def test_a_function_of_place_and_many_times():
    points, t = np.random.default_rng(0).random((5, 1)), np.linspace(0, 1, 5)
    function = SpaceTime("x*t", 1)
    np.testing.assert_allclose(function(points, t), points[:, 0] * t)
    both = torch.as_tensor(np.column_stack([points, t]))
    np.testing.assert_allclose(function.tensors(both).numpy(), points[:, 0] * t)
    assert SpaceTime(3.0, 1).tensors(both).tolist() == [3.0] * 5
