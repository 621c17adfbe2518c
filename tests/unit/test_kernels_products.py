"""Products of fixed matrices with tiles and rows, and what a row's bits depend on."""

import numpy as np
import pytest
from scipy.sparse import random_array

from pdeinv.errors import ShapeError
from pdeinv.kernels import build
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.tiles import lanes, tile_of

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(8)


def made(kind, shape, rng):
    """A product and its matrix as numpy holds it."""
    if kind is Dense:
        matrix = rng.standard_normal(shape)
        return Dense(matrix), matrix
    matrix = random_array(shape, density=0.2, rng=rng)
    return Sparse(matrix), matrix.toarray()


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (7, 12), (8, 40), (83, 31)])
@pytest.mark.parametrize("kind", [Dense, Sparse])
def test_rows_are_multiplied(kind, shape, complex, rng):
    product, matrix = made(kind, shape, rng)
    x = rng.standard_normal((lanes() + 3, shape[1])) * (1 + 0.5j if complex else 1)
    found = product.rows(x)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, x @ matrix.T, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tail", [(1,), (3, 1), (5,), (2, 8), (4, 2, 8), (64,), (0,)])
@pytest.mark.parametrize("kind", [Dense, Sparse])
def test_every_number_in_a_row_is_multiplied(kind, tail, rng):
    product, matrix = made(kind, (21, 17), rng)
    x = rng.standard_normal((17, *tail))
    found = product.tile(x)
    np.testing.assert_allclose(found, np.tensordot(matrix, x, 1), rtol=1e-11, atol=1e-12)
    room = np.full_like(found, np.nan)
    assert product.tile(x, room) is room
    np.testing.assert_array_equal(room, found)


@pytest.mark.parametrize("kind", [Dense, Sparse])
def test_a_row_has_the_same_bits_in_any_company(kind, rng):
    product, _ = made(kind, (90, 130), rng)
    rows = 8 * lanes()
    x = rng.standard_normal((rows, 130))
    whole = product.rows(x)
    for count in (1, 2, 3, 7, lanes() + 1):
        np.testing.assert_array_equal(product.rows(x[:count]), whole[:count])
    order = rng.permutation(rows)
    np.testing.assert_array_equal(product.rows(x[order]), whole[order])
    beside = np.where(np.arange(rows)[:, None] % 2, np.nan, x)
    np.testing.assert_array_equal(product.rows(beside)[::2], whole[::2])
    for k in (0, 5):
        np.testing.assert_array_equal(product.tile(tile_of(x[k : k + 1], 1))[:, 0], whole[k])


@pytest.mark.parametrize("kind", [Dense, Sparse])
def test_shapes_are_checked(kind, rng):
    product, _ = made(kind, (4, 6), rng)
    with pytest.raises(ShapeError, match="put the lanes last"):
        product.tile(np.ones((5, lanes())))
    with pytest.raises(ShapeError, match=r"expected \(rows, 6\)"):
        product.rows(np.ones((2, 5)))
