"""Products of matrices that differ from lane to lane, and what a lane's bits depend on."""

import numpy as np
import pytest
from scipy.sparse import random_array

from pdeinv.errors import ShapeError
from pdeinv.kernels import build
from pdeinv.kernels.lanewise import lane_gram, lane_times
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.kernels.tiles import lanes

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

both = pytest.mark.parametrize("complex", [False, True])


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(3)


def drawn(rng, complex, *shape):
    """A tile of random numbers and the same with the lanes first, as numpy holds them."""
    tile = rng.standard_normal((*shape, 2, lanes()) if complex else (*shape, lanes()))
    plain = tile[..., 0, :] + 1j * tile[..., 1, :] if complex else tile
    return tile, np.moveaxis(plain, -1, 0)


def plain(tile, complex):
    tile = tile[..., 0, :] + 1j * tile[..., 1, :] if complex else tile
    return np.moveaxis(tile, -1, 0)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def pattern(rng, n=23):
    lower = np.tril(random_array((n, n), density=0.2, rng=rng).toarray() != 0) | np.eye(
        n, dtype=bool
    )
    return np.argwhere(lower).T


def matrices(rows, columns, entries, n=23):
    """(lanes, n, n) of the entries (lanes, k)."""
    found = np.zeros((len(entries), n, n), dtype=entries.dtype)
    found[:, rows, columns] = entries
    found[:, columns, rows] = entries
    return found


@both
@pytest.mark.parametrize("sides", [(), (1,), (5,)])
def test_symmetric_matrices_multiply_and_are_differentiated(complex, sides, rng):
    rows, columns = pattern(rng)
    kernel = Symmetric(23, rows, columns, complex=complex)
    entries, k = drawn(rng, complex, len(rows))
    (x, xs), (y, ys) = drawn(rng, complex, 23, *sides), drawn(rng, complex, 23, *sides)
    whole = matrices(rows, columns, k)
    close(plain(kernel.times(entries, x), complex), np.einsum("lij,lj...->li...", whole, xs))
    xs, ys = (a.reshape(lanes(), 23, -1) for a in (xs, ys))
    slopes = np.einsum("lks,lks->lk", xs[:, rows], ys[:, columns])
    off = np.einsum("lks,lks->lk", xs[:, columns], ys[:, rows]) * (rows != columns)
    close(plain(kernel.pairs(x, y), complex), slopes + off)


@both
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 40, 7), (16, 16, 16), (33, 8, 3)])
def test_dense_matrices_multiply(complex, shape, rng):
    m, n, k = shape
    (x, xs), (y, ys) = drawn(rng, complex, m, n), drawn(rng, complex, n, k)
    close(plain(lane_times(x, y, complex=complex), complex), xs @ ys)
    turned = np.swapaxes(x, 0, 1)
    close(plain(lane_gram(turned, y, complex=complex), complex), xs @ ys)


@both
def test_a_lane_has_the_same_bits_alone_and_beside_what_is_not_finite(complex, rng):
    rows, columns = pattern(rng)
    kernel = Symmetric(23, rows, columns, complex=complex)
    entries, x, y = (drawn(rng, complex, *s)[0] for s in ((len(rows),), (23, 6), (23, 5)))

    def all_of(entries, x, y):
        return (
            kernel.times(entries, x), kernel.pairs(x, x),
            lane_gram(x, y, complex=complex), lane_times(np.swapaxes(x, 0, 1), y, complex=complex),
        )  # fmt: skip

    whole = all_of(entries, x, y)
    alone = all_of(*(np.ascontiguousarray(a[..., 3:4]) for a in (entries, x, y)))
    lost = np.where(np.arange(lanes()) == 3, 1.0, np.nan)
    beside = all_of(entries * lost, x * lost, y * lost)
    for a, b, c in zip(whole, alone, beside, strict=True):
        np.testing.assert_array_equal(a[..., 3], b[..., 0])
        np.testing.assert_array_equal(a[..., 3], c[..., 3])


def test_shapes_are_checked():
    with pytest.raises(ShapeError, match="do not fit"):
        lane_times(np.ones((3, 4, 8)), np.ones((3, 4, 8)))
