"""Karhunen-Loève fields: exact spectrum, captured variance, one basis on every machine."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist

from pdeinv.bayes.fields import kl
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


@pytest.mark.parametrize("modes", [30, 0.97])
def test_krylov_and_dense_solvers_agree(monkeypatch, modes):
    dense = KarhunenLoeveField.on_grid(SQUARE, M, modes)
    monkeypatch.setattr(kl, "DENSE_LIMIT", 1)
    krylov = KarhunenLoeveField.on_grid(SQUARE, M, modes)
    np.testing.assert_allclose(krylov.eigenvalues, dense.eigenvalues, rtol=1e-10)
    np.testing.assert_allclose(krylov.root, dense.root, atol=1e-8)


def test_a_rough_field_falls_back_to_the_dense_solver(monkeypatch):
    rough = Matern(0.5, 0.1)
    dense = KarhunenLoeveField.on_grid(SQUARE, rough, 0.95)
    monkeypatch.setattr(kl, "DENSE_LIMIT", 1)
    krylov = KarhunenLoeveField.on_grid(SQUARE, rough, 0.95)
    assert krylov.dim > SQUARE.size / 4
    np.testing.assert_array_equal(krylov.root, dense.root)
    assert KarhunenLoeveField.on_grid(SQUARE, rough, SQUARE.size).dim == SQUARE.size


def test_krylov_finds_every_copy_of_multiple_eigenvalues(monkeypatch):
    cube = RegularGrid(((0.0, 1.0),) * 3, (7, 7, 7))
    dense = KarhunenLoeveField.on_grid(cube, M, 40)
    monkeypatch.setattr(kl, "DENSE_LIMIT", 1)
    krylov = KarhunenLoeveField.on_grid(cube, M, 40)
    copies = dense.eigenvalues[:-1] - dense.eigenvalues[1:] < 1e-9 * dense.eigenvalues[:-1]
    assert copies.sum() > 10
    np.testing.assert_allclose(krylov.eigenvalues, dense.eigenvalues, rtol=1e-10)
    np.testing.assert_allclose(krylov.root, dense.root, atol=1e-8)


def test_copies_that_a_krylov_space_misses_are_added():
    from scipy.sparse.linalg import LinearOperator, eigsh

    spectrum = np.concatenate([[5.0] * 3, [4.0] * 3, np.linspace(0, 1, 60)])
    starts = np.stack([np.ones(66), np.sin(np.arange(66) ** 2)], axis=1)
    operator = LinearOperator((66, 66), matvec=lambda x: spectrum * x, dtype=float)
    alone, _ = eigsh(operator, 5, which="LA", v0=starts[:, 0])
    assert (alone > 3.9).sum() < 5
    values, vectors = kl._leading(lambda x: spectrum * x, 5, starts)
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
    first = kl._canonical(values, vectors, reference)
    second = kl._canonical(values, other, reference)
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
