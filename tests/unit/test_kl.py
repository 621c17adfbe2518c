"""Karhunen-Loève fields: exact spectrum, captured variance, one basis on every machine."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.spatial.distance import cdist

from pdeinv.bayes.fields import eigen, kl, kl_grid
from pdeinv.bayes.fields.basis import canonical
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.kl import KarhunenLoeveField
from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError

SQUARE = RegularGrid(((0.0, 1.0), (0.0, 1.0)), (15, 15))
OBLONG = RegularGrid(((0.0, 2.0), (0.0, 1.0)), (13, 9))
M = Matern(1.5, 0.4, 1.7)


def test_all_modes_give_the_exact_covariance():
    field = KarhunenLoeveField.on_grid(OBLONG, M, OBLONG.size)
    np.testing.assert_allclose(
        field.root @ field.root.T, M(cdist(OBLONG.points, OBLONG.points)), atol=1e-12
    )
    assert field.captured == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("grid", [SQUARE, OBLONG], ids=["square", "oblong"])
def test_functions_are_orthogonal_in_l2_with_norm_sqrt_lambda(grid):
    field = KarhunenLoeveField.on_grid(grid, M, 12)
    gram = field.root.T @ (grid.weights[:, None] * field.root)
    np.testing.assert_allclose(gram, np.diag(field.eigenvalues), atol=1e-9 * gram.max())
    assert np.all(np.diff(field.eigenvalues) <= 0)


def test_eigenvalues_of_the_exponential_covariance_on_an_interval():
    # Ghanem and Spanos (1991): (1 - ω c tan ω a)(ω c + tan ω a) = 0, λ = 2 c/(1 + ω² c²).
    a, c = 0.5, 0.4
    even = [brentq(lambda w: 1 - w * c * np.tan(w * a), (2 * k * np.pi) / 2 / a + 1e-9,
                   (2 * k * np.pi + np.pi - 1e-9) / 2 / a) for k in range(3)]  # fmt: skip
    odd = [brentq(lambda w: w * c + np.tan(w * a), (2 * k * np.pi + np.pi + 1e-9) / 2 / a,
                  (2 * k * np.pi + 2 * np.pi - 1e-9) / 2 / a) for k in range(3)]  # fmt: skip
    omega = np.sort(even + odd)
    exact = 2 * c / (1 + (omega * c) ** 2)
    grid = RegularGrid(((-a, a),), (801,))
    field = KarhunenLoeveField.on_grid(grid, Matern(0.5, c), 6)
    np.testing.assert_allclose(field.eigenvalues, exact, rtol=3e-4)


def test_captured_variance_is_the_integrated_variance_of_the_field():
    field = KarhunenLoeveField.on_grid(SQUARE, M, 10)
    pointwise = np.sum(field.root**2, axis=1)
    assert field.captured == pytest.approx(SQUARE.weights @ pointwise / M.std**2, rel=1e-12)
    assert 0.9 < field.captured < 1


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_share_of_variance_keeps_the_fewest_modes_that_reach_it(share):
    field = KarhunenLoeveField.on_grid(SQUARE, M, share)
    assert field.captured >= share
    fewer = KarhunenLoeveField.on_grid(SQUARE, M, field.dim - 1)
    assert fewer.captured < share


def by(monkeypatch, share, grid, covariance, modes):
    """The field by products where up to ``share`` of a kind's functions are wanted."""
    monkeypatch.setattr(kl_grid, "KRYLOV_SHARE", share)
    return KarhunenLoeveField.on_grid(grid, covariance, modes)


def nystrom(grid, covariance):
    """The matrix whose eigenpairs are asked for, formed at once."""
    half = np.sqrt(grid.weights)
    return half[:, None] * covariance(cdist(grid.points, grid.points)) * half


CUBE = RegularGrid(((0.0, 1.0),) * 3, (7, 7, 7))
SLAB = RegularGrid(((0.0, 1.0), (0.0, 1.0), (-1.0, 0.5)), (6, 6, 5))
LINE = RegularGrid(((0.0, 1.0),), (40,))
GRIDS = {"line": LINE, "square": SQUARE, "oblong": OBLONG, "slab": SLAB, "cube": CUBE}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("share", [0.0, 0.5], ids=["dense", "products"])
def test_eigenvalues_and_covariance_are_those_of_the_whole_matrix(monkeypatch, grid, share):
    field = by(monkeypatch, share, grid, M, 30)
    values, vectors = eigh(nystrom(grid, M))
    values, vectors = values[::-1], vectors[:, ::-1]
    np.testing.assert_allclose(field.eigenvalues, values[:30], atol=1e-10 * values[0], rtol=1e-9)
    inside = values[:30] > values[30] * (1 + 1e-6)  # those whose copies are all kept
    root = field.root[:, inside] * np.sqrt(grid.weights)[:, None]
    exact = (vectors[:, :30] * values[:30])[:, inside] @ vectors[:, :30][:, inside].T
    np.testing.assert_allclose(root @ root.T, exact, atol=1e-9)
    gram = field.root.T @ (grid.weights[:, None] * field.root)
    np.testing.assert_allclose(gram, np.diag(field.eigenvalues), atol=1e-11)


@pytest.mark.parametrize("grid", [SQUARE, CUBE], ids=["square", "cube"])
@pytest.mark.parametrize("modes", [30, 0.97])
def test_krylov_and_dense_solvers_agree(monkeypatch, grid, modes):
    dense = by(monkeypatch, 0.0, grid, M, modes)
    krylov = by(monkeypatch, 0.5, grid, M, modes)
    np.testing.assert_allclose(krylov.eigenvalues, dense.eigenvalues, rtol=1e-10)
    np.testing.assert_allclose(krylov.root, dense.root, atol=1e-8)


def test_a_share_of_variance_of_a_rough_field_keeps_as_many_as_it_needs():
    rough = Matern(0.5, 0.1)
    field = KarhunenLoeveField.on_grid(SQUARE, rough, 0.95)
    assert SQUARE.size / 4 < field.dim < SQUARE.size
    assert KarhunenLoeveField.on_grid(SQUARE, rough, SQUARE.size).dim == SQUARE.size


def kinds(field, grid):
    """-1 where a function is odd along x, y, ..., 1 where it is even; neither fails."""
    arrays = field.root.reshape(*grid.shape, -1)
    found = []
    for axis in reversed(range(len(grid.shape))):
        turned = np.flip(arrays, axis)
        sign = np.sign(np.sum(turned * arrays, axis=tuple(range(len(grid.shape)))))
        np.testing.assert_array_equal(turned, sign * arrays)
        found.append(sign)
    return np.array(found)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_function_is_exactly_even_or_odd_along_each_axis(grid):
    assert len(set(map(tuple, kinds(KarhunenLoeveField.on_grid(grid, M, 30), grid).T))) > 1


def test_functions_of_one_eigenvalue_come_by_kind_and_a_cut_keeps_the_even_one():
    field = KarhunenLoeveField.on_grid(SQUARE, M, 3)
    assert field.eigenvalues[1] == field.eigenvalues[2]
    np.testing.assert_array_equal(kinds(field, SQUARE), [[1, 1, -1], [1, -1, 1]])
    cut = KarhunenLoeveField.on_grid(SQUARE, M, 2)
    np.testing.assert_array_equal(cut.root, field.root[:, :2])
    x_spread, y_spread = (np.ptp(cut.root[:, 1].reshape(15, 15), axis=a).max() for a in (1, 0))
    assert y_spread > 2 * x_spread


def test_a_turned_square_has_the_turned_functions_of_an_oblong_its_own():
    first, second = RegularGrid(((0, 2), (0, 1)), (13, 9)), RegularGrid(((0, 1), (0, 2)), (9, 13))
    a, b = (KarhunenLoeveField.on_grid(g, M, 12) for g in (first, second))
    turned = a.root.reshape(9, 13, 12).swapaxes(0, 1).reshape(117, 12)
    signs = np.sign(np.sum(turned * b.root, axis=0))
    np.testing.assert_allclose(turned * signs, b.root, atol=1e-10)


def test_copies_that_a_krylov_space_misses_are_added():
    from scipy.sparse.linalg import LinearOperator, eigsh

    spectrum = np.concatenate([[5.0] * 3, [4.0] * 3, np.linspace(0, 1, 60)])
    starts = np.stack([np.ones(66), np.sin(np.arange(66) ** 2)], axis=1)
    operator = LinearOperator((66, 66), matvec=lambda x: spectrum * x, dtype=float)
    alone, _ = eigsh(operator, 5, which="LA", v0=starts[:, 0])
    assert (alone > 3.9).sum() < 5
    values, vectors = eigen.krylov(lambda x: spectrum * x, 5, starts)
    np.testing.assert_allclose(values[:6], [5, 5, 5, 4, 4, 4], rtol=1e-9)
    np.testing.assert_allclose(vectors[:, :6].T @ vectors[:, :6], np.eye(6), atol=1e-8)


def test_the_basis_does_not_depend_on_what_the_eigensolver_returns():
    rng = np.random.default_rng(3)
    values = np.array([5.0, 3.0, 3.0, 3.0, 1.0, 0.5, 0.5])
    vectors, _ = np.linalg.qr(rng.standard_normal((30, 7)))
    reference = rng.standard_normal((30, 8))
    other = vectors.copy()
    for group in ([0], [1, 2, 3], [4], [5, 6]):
        turn, _ = np.linalg.qr(rng.standard_normal((len(group), len(group))))
        other[:, group] = vectors[:, group] @ turn
    first = canonical(values, vectors, reference)
    second = canonical(values, other, reference)
    np.testing.assert_allclose(first, second, atol=1e-13)
    np.testing.assert_allclose(first @ first.T, vectors * values @ vectors.T, atol=1e-13)
    assert np.abs(vectors - other).max() > 0.1


def test_the_basis_hardly_depends_on_the_grid():
    fine = RegularGrid(SQUARE.extent, (29, 29))
    coarse_root = KarhunenLoeveField.on_grid(SQUARE, M, 8).root
    fine_root = KarhunenLoeveField.on_grid(fine, M, 8).root.reshape(29, 29, -1)
    np.testing.assert_allclose(fine_root[::2, ::2].reshape(225, -1), coarse_root, atol=0.01)


def test_threads_do_not_change_the_field():
    code = (
        "import numpy as np; from pdeinv.bayes.fields.kl import KarhunenLoeveField as K;"
        "from pdeinv.bayes.fields.grid import RegularGrid as G;"
        "from pdeinv.bayes.fields.matern import Matern;"
        "f = K.on_grid(G(((0., 1.), (0., 1.)), (21, 21)), Matern(1.5, .4), 12);"
        "print(f.root.sum(0).tolist())"
    )
    found = []
    for threads in ("1", "2"):
        env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
        )
        found.append(np.array(json.loads(done.stdout)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)


@pytest.mark.parametrize("modes", [0, -1, 1.5, 226, float("nan")])
def test_bad_numbers_of_modes_are_refused(modes):
    message = (
        r"^modes: expected a whole number from 1 to 225, or a share of variance between 0 and 1"
    )
    with pytest.raises(ConfigError, match=message):
        KarhunenLoeveField.on_grid(SQUARE, M, modes)


@pytest.mark.parametrize("nodes", [(13, 13), (12, 9), (5, 6, 4)])
def test_products_that_use_the_symmetry_are_those_of_the_whole_matrix(nodes):
    grid = RegularGrid(tuple((0.0, float(n)) for n in nodes), nodes)
    field = KarhunenLoeveField.on_grid(grid, Matern(1.0, 3.0, 1.5), 60)
    ahead, back = field.by_kind(field.root)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((60, 11)), rng.standard_normal((grid.size, 11))
    np.testing.assert_allclose(ahead.tile(x), field.root @ x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back.tile(w), field.root.T @ w, rtol=1e-12, atol=1e-12)


def test_functions_of_one_grid_are_computed_once_and_kept_from_harm(monkeypatch):
    calls, real = [], kl.modes_on_grid
    monkeypatch.setattr(kl, "modes_on_grid", lambda *given: calls.append(given) or real(*given))
    grid = RegularGrid(((0.0, 1.0), (0.0, 2.0)), (6, 9))
    one, two = (KarhunenLoeveField.on_grid(grid, Matern(1.5, 0.31), 5, mean=m) for m in (0.0, 3.0))
    assert len(calls) == 1
    xi = np.arange(5.0)
    np.testing.assert_array_equal(two.mean - one.mean, np.full(grid.size, 3.0))
    np.testing.assert_array_equal(two.apply(xi), one.apply(xi))
    with pytest.raises(ValueError, match="read-only"):
        one.root[0] = 0.0
    KarhunenLoeveField.on_grid(grid, Matern(1.5, 0.32), 5)
    assert len(calls) == 2
