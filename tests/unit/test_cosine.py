"""Cosine fields: the series term by term, orthonormality, and refused parameters."""

import itertools
import math

import numpy as np
import pytest

from pdeinv.bayes.fields.cosine import CosineField
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.errors import ConfigError

SIDES = (2.0, 1.0, 0.5)
NODES = (9, 7, 6)
UNIT = RegularGrid(((0.0, 1.0), (0.0, 1.0)), (17, 17))


def series(grid, count, tau, alpha):
    """The columns sqrt(λ_k) φ_k at the nodes, k over (k_z,) k_y, k_x."""
    d = len(grid.nodes)
    columns = []
    for k in itertools.product(range(count), repeat=d):
        k_xyz = k[::-1]
        value = np.ones(grid.size)
        wave = 0.0
        for i in range(d):
            side = SIDES[i]
            norm = math.sqrt((1 if k_xyz[i] == 0 else 2) / side)
            value *= norm * np.cos(math.pi * k_xyz[i] * grid.points[:, i] / side)
            wave += (math.pi * k_xyz[i] / side) ** 2
        columns.append((tau**2 + wave) ** (-alpha / 2) * value)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_transform_sums_the_series(d):
    grid = RegularGrid(tuple((0.0, s) for s in SIDES[:d]), NODES[:d])
    field = CosineField.on_grid(grid, tau=3.0, alpha=2.5, modes=4)
    np.testing.assert_allclose(
        field.apply(np.eye(field.dim)).T, series(grid, 4, 3.0, 2.5), atol=1e-14
    )


def test_the_series_shifts_with_the_domain():
    shifted = RegularGrid(((5.0, 6.0), (-1.0, 0.0)), (17, 17))
    xi = np.random.default_rng(0).standard_normal(17 * 17)
    fields = [CosineField.on_grid(g, tau=3.0, alpha=2.0) for g in (UNIT, shifted)]
    np.testing.assert_array_equal(fields[0].apply(xi), fields[1].apply(xi))


def test_functions_are_orthogonal_with_the_spectrum_of_the_benchmark():
    # N(0, (-Δ + 9)^(-2)): eigenvalues (9 + π²|k|²)^(-2).
    field = CosineField.on_grid(UNIT, tau=3.0, alpha=2.0, modes=6)
    root = field.apply(np.eye(field.dim)).T
    gram = root.T @ (UNIT.weights[:, None] * root)
    k = np.arange(6)
    exact = (9 + math.pi**2 * np.add.outer(k**2, k**2)) ** -2.0
    np.testing.assert_allclose(gram, np.diag(exact.ravel()), atol=1e-14)


def test_variance_is_the_average_over_the_domain():
    field = CosineField.on_grid(UNIT, tau=3.0, alpha=2.0, modes=12)
    pointwise = np.sum(field.apply(np.eye(field.dim)) ** 2, axis=0)
    assert field.variance == pytest.approx(UNIT.weights @ pointwise, rel=1e-12)


def test_normalising_makes_the_variance_one_and_only_scales():
    plain = CosineField.on_grid(UNIT, tau=3.0, alpha=2.0)
    unit = CosineField.on_grid(UNIT, tau=3.0, alpha=2.0, normalise=True)
    assert unit.variance == 1
    np.testing.assert_allclose(unit.amplitude * math.sqrt(plain.variance), plain.amplitude)


def test_without_the_constant_mode_the_average_is_zero():
    xi = np.random.default_rng(0).standard_normal(64)
    averages = [
        UNIT.weights
        @ CosineField.on_grid(UNIT, tau=3.0, alpha=2.0, modes=8, constant_mode=c).apply(xi)
        for c in (True, False)
    ]
    assert abs(averages[0]) > 1e-3
    assert abs(averages[1]) < 1e-14


def test_the_field_has_no_flux_through_the_boundary():
    grid = RegularGrid(((0.0, 1.0),), (401,))
    xi = np.random.default_rng(0).standard_normal(10)
    x = CosineField.on_grid(grid, tau=3.0, alpha=2.0, modes=10).apply(xi)
    slopes = np.gradient(x, 1 / 400, edge_order=2)
    assert max(abs(slopes[0]), abs(slopes[-1])) < 1e-2 * np.abs(slopes).max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau": 3.0, "alpha": 1.0}, r"alpha > 1 in 2-D, got tau = 3 and alpha = 1$"),
        ({"tau": 0.0, "alpha": 2.0}, r"expected tau > 0 .* got tau = 0 and alpha = 2$"),
        ({"tau": 3.0, "alpha": 2.0, "modes": 18}, r"^modes: expected 1 to 17 per axis .* got 18$"),
        ({"tau": 3.0, "alpha": 2.0, "modes": 0}, r"^modes: expected 1 to 17 per axis .* got 0$"),
    ],
)
def test_bad_parameters_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        CosineField.on_grid(UNIT, **settings)
