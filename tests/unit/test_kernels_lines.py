"""Diffusion along lines of cells, beside the same matrix in numpy."""

import numpy as np
import pytest

from pdeinv.errors import ShapeError
from pdeinv.kernels import build
from pdeinv.kernels.lines import Lines
from pdeinv.kernels.tiles import lanes

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(3)


def lines(n, rng):
    """Lines of random lengths through cells in random order, and K as a matrix."""
    cells, couple = rng.permutation(n), rng.uniform(0.1, 5.0, n)
    couple[rng.random(n) < 0.2] = 0.0
    matrix = np.zeros((n, n))
    for i in range(1, n):
        a, b = cells[i - 1], cells[i]
        matrix[[a, b], [a, b]] += couple[i]
        matrix[[a, b], [b, a]] -= couple[i]
    return Lines(cells, couple), matrix


@pytest.mark.parametrize("width", [1, None])
@pytest.mark.parametrize("n", [1, 2, 37])
def test_lines_solve_and_multiply(n, width, rng):
    width = width or lanes()
    found, matrix = lines(n, rng)
    x, a = rng.random((n, width)), 10.0 ** rng.uniform(-3, 3, width)
    np.testing.assert_allclose(found.times(x), matrix @ x, atol=1e-12)
    solved = found.factored(a).solve(x)
    for k in range(width):
        exact = np.linalg.solve(np.eye(n) + a[k] * matrix, x[:, k])
        np.testing.assert_allclose(solved[:, k], exact, rtol=1e-11)


def test_a_solve_keeps_the_sum_and_the_bounds(rng):
    found, _ = lines(400, rng)
    x = (rng.random((400, 1)) < 0.5).astype(float)
    for a in (0.0, 1e-3, 1.0, 1e6):
        y = found.factored(np.array([a])).solve(x)
        assert y.min() >= 0.0
        assert y.max() <= 1.0 + 1e-13
        assert y.sum() == pytest.approx(x.sum(), rel=1e-12)
    np.testing.assert_array_equal(found.factored(np.zeros(1)).solve(x), x)


def test_a_lane_has_the_same_bits_in_any_company(rng):
    found, _ = lines(60, rng)
    x, a = rng.random((60, lanes())), rng.uniform(0.1, 9.0, lanes())
    whole = found.factored(a).solve(x), found.times(x)
    order = rng.permutation(lanes())
    moved = found.factored(a[order]).solve(x[:, order]), found.times(x[:, order])
    for one, other in zip(whole, moved, strict=True):
        np.testing.assert_array_equal(one[:, order], other)
    x[:, 1:], a[1:] = np.nan, np.nan
    beside = found.factored(a).solve(x), found.times(x)
    for one, other in zip(whole, beside, strict=True):
        np.testing.assert_array_equal(one[:, 0], other[:, 0])


def test_shapes_are_checked(rng):
    found, _ = lines(5, rng)
    with pytest.raises(ShapeError, match=r"expected \(5, lanes\); put the lanes last"):
        found.times(np.zeros((4, 1)))
    with pytest.raises(ShapeError, match=r"expected \(5, 1\)"):
        found.factored(np.ones(1)).solve(np.zeros((5, 2)))
    with pytest.raises(ShapeError, match="2 conductances for 3 cells"):
        Lines(np.arange(3), np.zeros(2))
