"""Compiled factors against numpy and scipy, and what a row's bits depend on."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from pdeinv.errors import ShapeError
from pdeinv.kernels import build, cholesky, ordering, symbolic
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.tiles import empty, lanes, parts, rows_of, tile_of

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


def grid(*sides):
    """Pattern and nodes of the Laplacian of a grid with neighbours along axes and one diagonal."""
    place = np.arange(np.prod(sides)).reshape(sides)
    steps = [*np.eye(len(sides), dtype=int), np.ones(len(sides), dtype=int)]
    pairs = [
        (
            place[tuple(slice(s, None) for s in step)],
            place[tuple(slice(0, n - s) for s, n in zip(step, sides, strict=True))],
        )
        for step in steps
    ]
    rows, columns = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    points = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), -1)
    return both(rows, columns, place.size), points.reshape(-1, len(sides)).astype(float)


def both(rows, columns, n):
    """A CSR pattern with both triangles and the diagonal."""
    on = np.arange(n)
    row, column = np.concatenate([rows, columns, on]), np.concatenate([columns, rows, on])
    pattern = csr_array(coo_array((np.ones(len(row)), (row, column)), (n, n)))
    pattern.sort_indices()
    return pattern


def matrices(pattern, rows, rng, *, complex=False):
    """Symmetric values with a dominant diagonal, (rows, nnz), from positive weights."""
    n = pattern.shape[0]
    row, column = np.repeat(np.arange(n), np.diff(pattern.indptr)), pattern.indices
    key = np.minimum(row, column) * n + np.maximum(row, column)
    _, edge = np.unique(key, return_inverse=True)
    weights = np.exp(rng.standard_normal((rows, edge.max() + 1)))
    if complex:
        weights = weights * np.exp(1.2j * rng.uniform(-1, 1, weights.shape))
    values = weights[:, edge]
    values[:, row == column] = 0.0
    total = np.zeros((rows, n), dtype=values.dtype)
    np.add.at(total.T, row, values.T)
    values = -values
    values[:, row == column] = total + 0.01
    return values


def dense(pattern, values):
    return csr_array((values, pattern.indices, pattern.indptr), pattern.shape).toarray()


def case_of(name, rng):
    """Pattern and nodes, None where they lie nowhere."""
    if name in GRIDS:
        return grid(*GRIDS[name])
    if name == "full":
        return both(*np.divmod(np.arange(77 * 77), 77), 77), None
    return both(
        *rng.integers(0, SCATTERED[name][0], (2, SCATTERED[name][1])), SCATTERED[name][0]
    ), None


GRIDS = {"line": (40,), "square": (17, 14), "cube": (6, 5, 7), "wide cube": (9, 10, 9)}
SCATTERED = {
    **{"one unknown": (1, 1), "two unknowns": (2, 0)},
    **{"scattered": (150, 250), "in pieces": (120, 60)},
}
"""Unknowns and pairs."""


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("case", ["full", *GRIDS, *SCATTERED])
def test_rows_are_solved(case, complex, rng):
    pattern, points = case_of(case, rng)
    n, rows = pattern.shape[0], lanes() + 3
    values = matrices(pattern, rows, rng, complex=complex)
    b = rng.standard_normal((rows, n)) * (1 + 0.5j if complex else 1)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points, complex=complex)
    x, failed = ours.solve_rows(values, b)
    assert not failed.any()
    for k in range(rows):
        np.testing.assert_allclose(
            x[k], np.linalg.solve(dense(pattern, values[k]), b[k]), rtol=1e-9
        )


@pytest.mark.parametrize("complex", [False, True])
def test_all_right_hand_sides_of_a_row_are_solved_as_if_alone(complex, rng):
    pattern, points = grid(9, 11)
    values = matrices(pattern, 5, rng, complex=complex)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points, complex=complex)
    b = rng.standard_normal((5, ours.n, 7)) + (1j if complex else 0)
    x, _ = ours.solve_rows(values, b)
    for k in range(7):
        np.testing.assert_array_equal(x[..., k], ours.solve_rows(values, b[..., k])[0])
    shared, _ = ours.solve_rows(values, b[:1])
    np.testing.assert_array_equal(shared[0], x[0])
    np.testing.assert_allclose(dense(pattern, values[3]) @ shared[3], b[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("triangle", [np.tril, np.triu])
def test_one_triangle_is_enough_and_of_two_the_lower_counts(triangle, rng):
    pattern, _ = grid(8, 8)
    values = matrices(pattern, 1, rng)[0]
    whole = dense(pattern, values)
    half = csr_array(triangle(whole))
    b = rng.standard_normal(64)
    expected = np.linalg.solve(whole, b)
    found, _ = Cholesky(half.indptr, half.indices).solve_rows(half.data[None], b)
    np.testing.assert_allclose(found[0], expected, rtol=1e-10)
    row = np.repeat(np.arange(64), np.diff(pattern.indptr))
    values[row < pattern.indices] = np.nan
    found, _ = Cholesky(pattern.indptr, pattern.indices).solve_rows(values[None], b)
    np.testing.assert_allclose(found[0], expected, rtol=1e-10)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("sides", [(12, 13), (5, 6, 4)])
def test_a_row_has_the_same_bits_in_any_company(sides, complex, rng):
    pattern, points = grid(*sides)
    rows = 8 * lanes()
    values = matrices(pattern, rows, rng, complex=complex)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points, complex=complex)
    b = rng.standard_normal((rows, ours.n)).astype(values.dtype)
    x, _ = ours.solve_rows(values, b)
    for count in (1, 2, 3, 7, lanes() + 1, rows - 1):
        np.testing.assert_array_equal(ours.solve_rows(values[:count], b[:count])[0], x[:count])
    order = rng.permutation(rows)
    np.testing.assert_array_equal(ours.solve_rows(values[order], b[order])[0], x[order])
    worse = values.copy()
    worse[1::3] *= -1
    worse[2::3] = np.nan
    found, failed = ours.solve_rows(worse, b)
    np.testing.assert_array_equal(failed, np.arange(rows) % 3 > 0)
    np.testing.assert_array_equal(found[::3], x[::3])
    assert np.isnan(found[failed]).all()


@pytest.mark.parametrize("complex", [False, True])
def test_one_row_alone_has_the_bits_of_a_lane(complex, rng):
    assert cholesky.single_agrees()
    pattern, points = grid(15, 12)
    values = matrices(pattern, lanes(), rng, complex=complex)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points, complex=complex)
    b = rng.standard_normal((lanes(), ours.n)).astype(values.dtype)
    tile = ours.factor(tile_of(values, lanes())).solve(tile_of(b, lanes()))
    for k in range(lanes()):
        alone = ours.factor(tile_of(values[k : k + 1], 1)).solve(tile_of(b[k : k + 1], 1))
        np.testing.assert_array_equal(alone[..., 0], tile[..., k])


@pytest.mark.parametrize("complex", [False, True])
def test_the_column_where_a_matrix_breaks_down_is_told(complex, rng):
    pattern, _ = grid(6)
    values = matrices(pattern, lanes(), rng, complex=complex)
    row = np.repeat(np.arange(6), np.diff(pattern.indptr))
    last = (row == 5) & (pattern.indices == 5)
    values[1, last], values[2, last], values[3] = -1.0, np.inf, 0.0
    ours = Cholesky(pattern.indptr, pattern.indices, order=np.arange(6), complex=complex)
    column = ours.factor(tile_of(values, lanes())).column
    assert list(column) == [0, 6, 6, 1, *[0] * (lanes() - 4)]


def test_a_singular_matrix_fails_and_a_nearly_singular_one_does_not(rng):
    pattern, points = grid(10, 10)
    values = matrices(pattern, 2, rng)
    on = np.repeat(np.arange(100), np.diff(pattern.indptr)) == pattern.indices
    values[0, on] -= 0.01
    values[1, on] -= 0.01 - 1e-10
    ours = Cholesky(pattern.indptr, pattern.indices, points=points)
    values = np.repeat(values, [20, 1], axis=0) * np.r_[1.0:22.0][:, None] / 7
    failed = ours.solve_rows(values, np.ones(100))[1]
    assert not failed[-1]
    assert failed[:-1].any()


def test_threads_that_share_a_pattern_do_not_meet(rng):
    pattern, points = grid(20, 20)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points)
    values = matrices(pattern, 4 * lanes(), rng)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: ours.solve_rows(values[k:], np.ones(400))[0], range(8)))
    for k, x in enumerate(found):
        np.testing.assert_array_equal(x, found[0][k:])


def test_no_rows_give_no_rows():
    pattern, _ = grid(5, 5)
    ours = Cholesky(pattern.indptr, pattern.indices)
    x, failed = ours.solve_rows(np.ones((0, ours.nnz)), np.ones(25))
    assert x.shape == (0, 25)
    assert failed.shape == (0,)


def test_shapes_are_checked(rng):
    pattern, _ = grid(5, 5)
    ours = Cholesky(pattern.indptr, pattern.indices)
    with pytest.raises(ShapeError, match=f"expected \\({pattern.nnz}, {lanes()} or 1\\)"):
        ours.factor(np.ones((pattern.nnz, lanes() + 1)))
    with pytest.raises(ShapeError, match="expected \\(rows, "):
        ours.solve_rows(np.ones((3, 4)), np.ones(25))
    with pytest.raises(ShapeError, match="expected \\(3 or 1, 25"):
        ours.solve_rows(np.ones((3, pattern.nnz)), np.ones((2, 25)))
    factor = ours.factor(tile_of(matrices(pattern, 1, rng), 1))
    with pytest.raises(ShapeError, match="put the lanes last"):
        factor.solve(np.ones((25, lanes())))
    with pytest.raises(ShapeError, match="in C order"):
        factor.solve(np.ones((25, 1)), np.ones((24, 1)))
    with pytest.raises(ShapeError, match="not one of 1 lanes"):
        ours.factor(tile_of(matrices(pattern, 1, rng), 1), ours.storage(lanes()))
    with pytest.raises(ShapeError, match="each of the 25 unknowns once"):
        Cholesky(pattern.indptr, pattern.indices, order=np.zeros(25, dtype=int))
    with pytest.raises(ShapeError, match="expected \\(25, dim\\)"):
        Cholesky(pattern.indptr, pattern.indices, points=np.zeros((24, 2)))
    with pytest.raises(ShapeError, match="take them in parts"):
        tile_of(np.ones((lanes() + 1, 2)), lanes())


@pytest.mark.parametrize("width", [1, 0])
@pytest.mark.parametrize("complex", [False, True])
def test_factor_and_solve_at_once_gives_the_bits_of_both(complex, width, rng):
    pattern, points = grid(14, 11)
    width = width or lanes()
    values = tile_of(matrices(pattern, width, rng, complex=complex), width)
    ours = Cholesky(pattern.indptr, pattern.indices, points=points, complex=complex)
    b = rng.standard_normal((ours.n, 7, *values.shape[1:]))
    factor, x = ours.factor_and_solve(values, b)
    np.testing.assert_array_equal(x, ours.factor(values).solve(b))
    np.testing.assert_array_equal(factor.solve(b, b), x)
    np.testing.assert_array_equal(b, x)


def test_storage_is_counted_and_used_again(rng):
    pattern, _ = grid(7, 7)
    ours = Cholesky(pattern.indptr, pattern.indices)
    storage = ours.storage(lanes())
    assert storage.held.nbytes == ours.bytes(lanes()) == lanes() * ours.bytes(1)
    first, second = matrices(pattern, 2 * lanes(), rng).reshape(2, lanes(), -1)
    b = rng.standard_normal((49, lanes()))
    for values in (first, second):
        factor = ours.factor(tile_of(values, lanes()), storage)
        assert factor.storage is storage
    fresh = ours.factor(tile_of(second, lanes()))
    np.testing.assert_array_equal(factor.solve(b), fresh.solve(b))


@pytest.mark.parametrize("kind", [float, complex])
def test_tiles_hold_rows_and_fill_up_with_the_first(kind, rng):
    rows = rng.standard_normal((3, 130)).astype(kind) * (1 if kind is float else 1 + 2j)
    tile = tile_of(rows, lanes())
    for k in range(lanes()):
        mine = rows[k if k < 3 else 0]
        lane = tile[..., k] if kind is float else tile[:, 0, k] + 1j * tile[:, 1, k]
        np.testing.assert_array_equal(lane, mine)
    back = np.empty_like(rows)
    rows_of(tile, 3, back)
    np.testing.assert_array_equal(back, rows)


def test_parts_cover_a_batch_and_leftovers_go_alone():
    found = list(parts(lanes() + 2, single=2))
    assert [p.width for p in found] == [lanes(), 1, 1]
    assert [r for p in found for r in range(p.rows.start, p.rows.stop)] == list(range(lanes() + 2))
    assert [p.width for p in parts(lanes() + 2, single=1)] == [lanes(), lanes()]


def test_arrays_begin_at_a_cache_line():
    assert all(empty(k, 3).ctypes.data % 64 == 0 for k in range(1, 40))


@pytest.mark.parametrize("points", [True, False])
def test_nested_dissection_fills_less_than_the_order_of_the_nodes(points):
    pattern, where = grid(33, 33)
    edges = ordering.graph(pattern.indptr, pattern.indices)
    order = ordering.dissection(edges, where if points else None)
    assert sorted(order) == list(range(33 * 33))
    work = symbolic.supernodes(edges, order).work()
    assert work < 0.6 * symbolic.supernodes(edges, np.arange(33 * 33)).work()


@pytest.mark.parametrize("case", ["square", "cube", "scattered", "in pieces"])
def test_groups_hold_every_entry_of_the_factor(case, rng):
    pattern, points = case_of(case, rng)
    edges = ordering.graph(pattern.indptr, pattern.indices)
    groups = symbolic.supernodes(edges, ordering.dissection(edges, points))
    values = dense(pattern, matrices(pattern, 1, rng)[0])[groups.order][:, groups.order]
    factor = np.linalg.cholesky(values) != 0
    held = np.zeros_like(factor)
    for k, rows in enumerate(np.split(groups.rows, groups.below[1:-1])):
        first, end = groups.starts[k : k + 2]
        held[first:end, first:end] = True
        held[np.ix_(rows, np.arange(first, end))] = True
    assert not (factor & ~held).any()
