"""Complex symmetric matrices that are not positive definite: factors, the guard, elimination."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.fem.guarded_tiles import GuardedTiles
from pdeinv.fem.surroundings import inner_part
from pdeinv.kernels import build
from pdeinv.kernels.analysis import analyzed
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.lanewise import lane_largest
from pdeinv.kernels.tiles import lanes, tile_of

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

SIDE = 9


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(3)


def grid():
    """Five-point differences on a square, CSR."""
    one = sparse.diags_array(
        [-np.ones(SIDE - 1), 2 * np.ones(SIDE), -np.ones(SIDE - 1)], offsets=[-1, 0, 1]
    )
    return sparse.csr_array(sparse.kronsum(one, one))


def lower(matrix):
    found = sparse.csr_array(sparse.tril(matrix))
    found.sort_indices()
    return found


def waves(rng, rows):
    """Lower entries (rows, nnz) of K − k² (1 + q) and a little absorption, with K's pattern."""
    half = lower(grid())
    row = np.repeat(np.arange(SIDE**2), np.diff(half.indptr))
    values = np.tile(half.data.astype(complex), (rows, 1))
    values[:, half.indices == row] -= 1.3 * (1 + rng.uniform(0, 1, (rows, SIDE**2))) - 0.1j
    return half, values


def whole(half, values):
    """The matrix with both triangles."""
    part = sparse.csr_array((values, half.indices, half.indptr), half.shape).toarray()
    return part + np.tril(part, -1).T


def test_they_are_solved_where_they_are_asked_for_and_refused_elsewhere(rng):
    half, values = waves(rng, lanes() + 3)
    b = rng.standard_normal((len(values), SIDE**2)) + 0j
    x, failed = Cholesky(half.indptr, half.indices, complex=True, indefinite=True).solve_rows(
        values, b
    )
    assert not failed.any()
    for row, v, side in zip(x, values, b, strict=True):
        right = np.linalg.solve(whole(half, v), side)
        np.testing.assert_allclose(row, right, rtol=0, atol=1e-9 * np.abs(right).max())
    assert (np.linalg.eigvalsh(whole(half, values[0]).real) < 0).any()
    assert Cholesky(half.indptr, half.indices, complex=True).solve_rows(values, b)[1].all()


def test_a_row_has_its_bits_in_any_company_and_alone(rng):
    half, values = waves(rng, 3 * lanes() + 1)
    b = rng.standard_normal((len(values), SIDE**2)) + 0j
    ours = Cholesky(half.indptr, half.indices, complex=True, indefinite=True)
    x, _ = ours.solve_rows(values, b)
    for count in (1, 2, 3, 7, lanes() + 1):
        np.testing.assert_array_equal(ours.solve_rows(values[:count], b[:count])[0], x[:count])
    order = rng.permutation(len(values))
    np.testing.assert_array_equal(ours.solve_rows(values[order], b[order])[0], x[order])


@pytest.mark.parametrize("pivot", [1.0, -1.0, 1j, -1j, -1 + 1e-12j, -3 - 4j, 1e-100 - 1e-100j])
def test_a_pivot_may_point_anywhere(pivot):
    ours = Cholesky(np.array([0, 1]), np.array([0]), complex=True, indefinite=True)
    x, failed = ours.solve_rows(np.array([[pivot]]), np.array([2.0 + 1j]))
    assert not failed.any()
    np.testing.assert_allclose(x[0, 0] * pivot, 2 + 1j, rtol=1e-14)


def test_a_pivot_of_zero_fails():
    ours = Cholesky(np.array([0, 1]), np.array([0]), complex=True, indefinite=True)
    assert ours.solve_rows(np.array([[0j], [np.nan], [1j]]), np.ones(1))[1].tolist() == [1, 1, 0]


def test_unknowns_that_come_last_are_the_last_columns(rng):
    half = lower(grid())
    last = rng.choice(SIDE**2, 12, replace=False)
    clique = np.zeros((SIDE**2, SIDE**2))
    clique[np.ix_(last, last)] = 1.0
    coupled = lower(sparse.csr_array(clique) + grid())
    order = analyzed(coupled.indptr, coupled.indices, last=last).order
    assert {*order[-12:]} == {*last}
    assert np.array_equal(
        np.sort(analyzed(half.indptr, half.indices, last=np.arange(SIDE**2)).order),
        np.arange(SIDE**2),
    )


@pytest.mark.parametrize("width", [1, 0])
def test_the_largest_number_of_a_lane(width, rng):
    x = rng.standard_normal((5, 7, width or lanes()))
    np.testing.assert_array_equal(lane_largest(x), np.abs(x).max(axis=(0, 1)))
    x[3, 2, 0] = -np.inf
    x[0, 0, -1] = np.nan
    assert np.isnan(lane_largest(x)[[0, -1]]).all()
    assert np.isfinite(lane_largest(x)[1:-1]).all()


def spoilt(pivot, rng, rows):
    """Rows of sound matrices, of which one has that first pivot, with the order of its factor."""
    half, values = waves(rng, rows)
    order = np.arange(SIDE**2)
    values[1, 0] = pivot
    return (
        half,
        values,
        Cholesky(half.indptr, half.indices, order=order, complex=True, indefinite=True),
    )


def guarded(half, values, ours, b, bound):
    width = len(values)
    row = np.repeat(np.arange(SIDE**2), np.diff(half.indptr))
    tiles = GuardedTiles(ours, row, half.indices, bound)
    factor, x = tiles.factor_and_solve(
        tile_of(values, width), tile_of(b, width).reshape(SIDE**2, 1, 2, width)
    )
    return factor, x[:, 0, 0] + 1j * x[:, 0, 1]


@pytest.mark.parametrize("pivot", [1e-9, 1e-13, 0.0])
def test_the_guard_mends_or_gives_up_one_lane_and_leaves_the_others(pivot, rng):
    half, values, ours = spoilt(pivot, rng, lanes())
    b = rng.standard_normal((lanes(), SIDE**2)) + 0j
    right = np.linalg.solve(whole(half, values[1]), b[1])
    _, x = guarded(half, values, ours, b, 1e-14)
    _, bare = guarded(half, values, ours, b, np.inf)
    size = np.abs(right).max()
    mended = np.abs(x[:, 1] - right).max() < 1e-11 * size
    assert np.isnan(x[:, 1]).all() if pivot == 0 else mended or np.isnan(x[:, 1]).all()
    assert mended or pivot < 1e-9
    assert not np.abs(bare[:, 1] - right).max() < 1e-11 * size
    others = [k for k in range(lanes()) if k != 1]
    np.testing.assert_array_equal(
        x[:, others[1:]],
        guarded(
            half,
            np.delete(values, 1, 0)[[*range(lanes() - 1), 0]],
            ours,
            np.delete(b, 1, 0)[[*range(lanes() - 1), 0]],
            1e-14,
        )[1][:, 1:-1],
    )


def test_solutions_with_the_factor_are_guarded_as_well(rng):
    half, values, ours = spoilt(1e-13, rng, lanes())
    b = rng.standard_normal((lanes(), SIDE**2)) + 0j
    factor, _ = guarded(half, values, ours, b, 1e-14)
    x = factor.solve(tile_of(b, lanes()).reshape(SIDE**2, 1, 2, lanes()))[:, 0]
    found = x[:, 0] + 1j * x[:, 1]
    right = np.linalg.solve(whole(half, values[1]), b[1])
    assert (
        np.isnan(found[:, 1]).all()
        or np.abs(found[:, 1] - right).max() < 1e-11 * np.abs(right).max()
    )
    assert np.isfinite(found[:, 2:]).all()


def test_the_inner_part_gives_the_solution_there_and_readings_everywhere(rng):
    matrix = sparse.csr_array(grid() - (1.3 - 0.1j) * sparse.eye_array(SIDE**2))
    touched = np.zeros((SIDE, SIDE), dtype=bool)
    touched[3:6, 2:6] = True
    held = np.zeros(SIDE**2, dtype=bool)
    held[[0, 31]] = True
    inner = inner_part(matrix, touched.ravel(), held)
    assert len(inner.nodes) == 11
    free = np.flatnonzero(~held)
    load = np.zeros(SIDE**2, dtype=complex)
    load[inner.nodes] = rng.standard_normal(11)
    u = np.zeros(SIDE**2, dtype=complex)
    u[free] = np.linalg.solve(matrix.toarray()[np.ix_(free, free)], load[free])
    half = sparse.csr_array((inner.entries, inner.columns, inner.starts), (11, 11))
    small = np.linalg.solve(whole(half, inner.entries), load[inner.nodes])
    np.testing.assert_allclose(small, u[inner.nodes], rtol=1e-11)
    reading = sparse.csr_array(rng.standard_normal((4, SIDE**2)) * (1 - held))
    np.testing.assert_allclose(inner.reading(reading) @ small, reading @ u, rtol=1e-11)
    every = inner.reading(sparse.diags_array(1.0 - held)) @ small
    np.testing.assert_allclose(every, u, rtol=1e-11, atol=1e-14)
    within = sparse.csr_array(sparse.eye_array(SIDE**2))[inner.nodes]
    assert inner.reading(within).nnz == len(inner.nodes)


def test_nothing_is_eliminated_where_waves_around_resonate():
    """The surroundings have the eigenvalue zero; the whole matrix does not."""
    matrix = (
        np.diag([1.0, 2.0, 1.0, 1.0]) + np.diag([1.0, 1.0, 1.0], 1) + np.diag([1.0, 1.0, 1.0], -1)
    )
    touched = np.array([True, True, False, False])
    held = np.zeros(4, dtype=bool)
    inner = inner_part(sparse.csr_array(matrix), touched, held)
    np.testing.assert_array_equal(inner.nodes, np.arange(4))
    np.testing.assert_allclose(inner.reading(sparse.eye_array(4)).toarray(), np.eye(4))
    matrix[3, 3] = 2.0
    assert len(inner_part(sparse.csr_array(matrix), touched, held).nodes) == 2
