"""Steps of waves, beside the same recursion in numpy."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.errors import ShapeError
from pdeinv.kernels import build
from pdeinv.kernels.waves import Leapfrog, Series, Taps

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

N, STEPS = 23, 17


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(3)


def made(shots, rng):
    """A recursion with two series in and three out, at rows and shots of their own."""
    matrix = sparse.random_array((N, N), density=0.2, rng=rng, format="csr")
    ins = sparse.random_array((2, N), density=0.3, rng=rng, format="csr")
    outs = sparse.random_array((3, N), density=0.3, rng=rng, format="csr")
    columns = rng.integers(0, shots, 2), rng.integers(0, shots, 3)
    past = rng.uniform(0.5, 1.0, N)
    taps = Taps.of([(ins, columns[0])]), Taps.of([(outs, columns[1])])
    return Leapfrog(matrix, past, shots, *taps), (matrix.toarray(), past, ins, outs, *columns)


def states_of(plain, start, given, shots):
    matrix, past, ins, _, columns, _ = plain
    found = list(start)
    for values in given:
        new = matrix @ found[-1] - past[:, None] * found[-2]
        for row, c, value in zip(ins.toarray(), columns, values, strict=True):
            new[:, c] += row * value
        found.append(new)
    return np.array(found)


def taken_of(plain, states):
    _, _, _, outs, _, columns = plain
    return np.stack([states[:, :, c] @ row for row, c in zip(outs.toarray(), columns, strict=True)])


@pytest.mark.parametrize("slots", [2, 5, STEPS + 2])
@pytest.mark.parametrize("shots", [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19])
def test_a_run_is_the_recursion(shots, slots, rng):
    run, plain = made(shots, rng)
    start, given = rng.standard_normal((2, N, shots)), rng.standard_normal((STEPS, 2))
    exact = states_of(plain, start, given, shots)
    states = np.zeros((slots, N, shots))
    states[:2] = start
    taken = Series(np.where(np.arange(STEPS) % 2, np.arange(STEPS) // 2, -1), np.zeros((8, 3)))
    run.march(states, 0, Series(np.arange(STEPS), given), taken)
    for k in (STEPS, STEPS + 1):
        np.testing.assert_allclose(states[k % slots], exact[k], rtol=1e-10)
    np.testing.assert_allclose(taken.values, taken_of(plain, exact[3::2]).T, rtol=1e-10)


def test_a_run_in_parts_is_the_whole_run(rng):
    run, _ = made(3, rng)
    given = rng.standard_normal((STEPS, 2))
    whole, parts = (np.ones((2, N, 3)) for _ in range(2))
    run.march(whole, 0, Series(np.arange(STEPS), given), Series.nothing(STEPS))
    for low, high in ((0, 6), (6, 7), (7, STEPS)):
        own = Series(np.arange(high - low), given[low:high].copy())
        run.march(parts, low, own, Series.nothing(high - low))
    np.testing.assert_array_equal(parts, whole)


def test_a_run_backwards_adds_up_what_it_meets(rng):
    run, plain = made(5, rng)
    forward = rng.standard_normal((STEPS + 2, N, 5))
    given = rng.standard_normal((STEPS, 2))
    exact = states_of(plain, np.zeros((2, N, 5)), given, 5)[2:][::-1]
    taken = Series(np.arange(STEPS), np.zeros((STEPS, 3)))
    ends = (Series(np.arange(STEPS), given), taken)
    second, first = run.back(np.zeros((2, N, 5)), 0, forward, ends)
    before, now, after = forward[:-2], forward[1:-1], forward[2:]
    np.testing.assert_allclose(second, -(exact * (after - 2 * now + before)).sum(axis=(0, 2)))
    np.testing.assert_allclose(first, -(exact * (after - before)).sum(axis=(0, 2)))
    np.testing.assert_allclose(taken.values, taken_of(plain, exact[::-1]).T)


def test_the_change_of_a_run_is_its_derivative(rng):
    run, plain = made(2, rng)
    scale, da, dc = rng.uniform(0.1, 0.2, (3, N))
    given, more = rng.standard_normal((2, STEPS, 2))
    u = states_of(plain, np.zeros((2, N, 2)), given, 2)
    d = [np.zeros((N, 2))] * 2
    for j in range(STEPS):
        new = states_of(plain, d[-2:], more[j : j + 1], 2)[2]
        second, first = u[j + 2] - 2 * u[j + 1] + u[j], u[j + 2] - u[j]
        d.append(new - scale[:, None] * (da[:, None] * second + dc[:, None] * first))
    taken = Series(np.arange(STEPS), np.zeros((STEPS, 3)))
    run.change(
        (scale, da, dc), (Series(np.arange(STEPS), given), Series(np.arange(STEPS), more), taken)
    )
    np.testing.assert_allclose(taken.values, taken_of(plain, np.array(d[2:])).T, rtol=1e-9)


def test_arrays_of_another_shape_are_refused(rng):
    run, _ = made(2, rng)
    nothing = Series.nothing(3)
    with pytest.raises(ShapeError, match=r"states of shape \(1, 23, 2\), expected \(2 or more"):
        run.march(np.zeros((1, N, 2)), 0, nothing, nothing)
    with pytest.raises(ShapeError, match=r"series of shape \(3, 4\), expected \(rows, 2\)"):
        run.march(np.zeros((2, N, 2)), 0, Series(np.arange(3), np.zeros((3, 4))), nothing)
    with pytest.raises(ShapeError, match=r"expected \(5 or more"):
        run.back(np.zeros((2, N, 2)), 0, np.zeros((4, N, 2)), (nothing, nothing))
