"""What every Gaussian field owes: sizes, batch axes, and a transpose that is the transpose."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.bayes.fields import kl_grid
from pdeinv.bayes.fields.base import DenseField, IndependentField
from pdeinv.bayes.fields.cosine import CosineField
from pdeinv.bayes.fields.fft import CirculantField
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.fields.kl import KarhunenLoeveField
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.spde import MeshMatrices, SpdeField

M = Matern(1.5, 0.4, 1.3)
GRIDS = {
    1: RegularGrid(((0.0, 1.0),), (9,)),
    2: RegularGrid(((0.0, 2.0), (0.0, 1.0)), (7, 6)),
    3: RegularGrid(((0.0, 1.0), (0.0, 2.0), (0.0, 0.5)), (5, 4, 3)),
}


def on_a_line(n):
    h = 1 / (n - 1)
    ends = np.zeros(n)
    ends[[0, -1]] = 1.0
    band = np.ones(n - 1)
    stiffness = sparse.diags([-band, 2 - ends, -band], [-1, 0, 1]) / h
    mass = h * (1 - ends / 2)
    return MeshMatrices(np.linspace(0, 1, n)[:, None], mass, stiffness, sparse.diags(ends))


def krylov(grid):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kl_grid, "KRYLOV_SHARE", 0.5)
        return KarhunenLoeveField.on_grid(grid, M, 5, mean=2.0)


def all_fields():
    rng = np.random.default_rng(1)
    points = rng.uniform(size=(20, 2))
    weights = rng.uniform(0.5, 1.5, 20)
    yield "independent", IndependentField(np.arange(4.0), np.arange(1.0, 5.0))
    yield "dense", DenseField(np.arange(4.0), rng.standard_normal((4, 3)))
    yield "kl points", KarhunenLoeveField.at_points(points, weights, M, 7, mean=2.0)
    yield "kl krylov", krylov(GRIDS[2])
    for d, grid in GRIDS.items():
        yield f"kl {d}-D", KarhunenLoeveField.on_grid(grid, M, 4, mean=2.0)
        yield f"fft {d}-D", CirculantField.on_grid(grid, M, mean=2.0)
        yield f"cosine {d}-D", CosineField.on_grid(grid, tau=3.0, alpha=2.0)
        yield f"cosine {d}-D cut", CosineField.on_grid(grid, tau=3.0, alpha=2.0, modes=2)
    for nu in (1.5, 3.5, 5.5):
        yield f"spde {nu}", SpdeField.on_mesh(on_a_line(12), Matern(nu, 0.4), mean=2.0)


FIELDS = dict(all_fields())


@pytest.fixture(params=FIELDS, name="field")
def _field(request):
    return FIELDS[request.param]


def dot_product_gap(field, rng):
    """|<L xi, w> - <xi, L^T w>| relative to the norms."""
    xi, w = rng.standard_normal(field.dim), rng.standard_normal(len(field.mean))
    lx = field.apply(xi)
    gap = abs(lx @ w - xi @ field.apply_transpose(w))
    return gap / (np.linalg.norm(lx) * np.linalg.norm(w))


def test_transpose_passes_the_dot_product_test(field):
    assert dot_product_gap(field, np.random.default_rng(0)) < 1e-12


def test_a_wrong_transpose_fails_the_dot_product_test():
    class Wrong(SpdeField):
        def apply_transpose(self, w):
            return self.apply(w)

    right = FIELDS["spde 3.5"]
    wrong = Wrong(right.mean, right.mesh, right.kappa, right.scale, right.order, right.robin)
    assert dot_product_gap(wrong, np.random.default_rng(0)) > 1e-6


def test_batch_axes_lead(field):
    rng = np.random.default_rng(0)
    xi = rng.standard_normal((2, 3, field.dim))
    w = rng.standard_normal((2, 3, len(field.mean)))
    forward, backward = field.apply(xi), field.apply_transpose(w)
    assert forward.shape == w.shape
    assert backward.shape == xi.shape
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(forward[i], field.apply(xi[i]), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(backward[i], field.apply_transpose(w[i]), rtol=1e-10, atol=1e-12)


def test_inputs_are_left_alone(field):
    xi, w = np.ones(field.dim), np.ones(len(field.mean))
    field.apply(xi)
    field.apply_transpose(w)
    assert np.all(xi == 1)
    assert np.all(w == 1)


def test_the_mean_is_an_array_over_the_field(field):
    assert field.mean.shape == field.apply(np.zeros(field.dim)).shape


def test_dense_field_has_the_covariance_it_was_given():
    covariance = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.7]])
    field = DenseField.from_covariance(np.zeros(3), covariance)
    np.testing.assert_allclose(
        field.apply(field.apply_transpose(np.eye(3))), covariance, rtol=1e-13
    )
