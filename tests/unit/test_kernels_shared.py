"""One factor for a tile of right-hand sides: against scipy, and what a side's bits depend on."""

import numpy as np
import pytest
from scipy.sparse import csc_array, random_array
from scipy.sparse.linalg import splu

from pdeinv.errors import ShapeError
from pdeinv.kernels import build
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.tiles import lanes, tile_of

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


def matrix(n, density, rng):
    """A random symmetric positive definite one, CSC."""
    found = random_array((n, n), density=density, rng=rng).toarray()
    found = found + found.T
    return csc_array(found + np.diag(np.abs(found).sum(axis=0) + 0.1))


def factor(a, complex=False):
    values = (a.data * (1 + 0j) if complex else a.data)[None]
    return Cholesky(a.indptr, a.indices, complex=complex).factor(tile_of(values, 1))


@pytest.mark.parametrize(
    ("n", "density"), [(1, 1.0), (2, 0.0), (7, 0.3), (23, 1.0), (60, 0.03), (211, 0.02)]
)
def test_every_side_is_solved_for(n, density):
    rng = np.random.default_rng(n)
    a, b = matrix(n, density, rng), rng.standard_normal((n, lanes()))
    found = factor(a).solve_shared(b)
    np.testing.assert_allclose(found, splu(a).solve(b), rtol=1e-11, atol=1e-13)


def test_a_side_has_the_same_bits_in_any_place_and_beside_what_is_not_finite():
    rng = np.random.default_rng(0)
    solver, b = factor(matrix(150, 0.05, rng)), rng.standard_normal((150, lanes()))
    whole = solver.solve_shared(b)
    np.testing.assert_array_equal(solver.solve_shared(b[:, ::-1]), whole[:, ::-1])
    beside = np.where(np.arange(lanes()) == 2, b, np.nan)
    np.testing.assert_array_equal(solver.solve_shared(beside)[:, 2], whole[:, 2])


def test_only_one_real_matrix_serves_all_sides():
    a = matrix(5, 0.5, np.random.default_rng(1))
    with pytest.raises(ShapeError, match="expected"):
        factor(a).solve_shared(np.ones((5, 1)))
    with pytest.raises(ShapeError, match="one real matrix"):
        factor(a, complex=True).solve_shared(np.ones((5, lanes())))
