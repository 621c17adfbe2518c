"""Whittle-Matérn fields: the covariance inside, the variance at the boundary, refused input."""

import functools
import math

import numpy as np
import pytest
from scipy import sparse

from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.spde import MeshMatrices, SpdeField, balanced_robin
from pdeinv.errors import ConfigError, ShapeError


def mesh(n, d):
    """Multilinear elements with nodal quadrature on the unit cube, n nodes along each axis."""
    h, band = 1 / (n - 1), np.ones(n - 1)
    ends = np.zeros(n)
    ends[[0, -1]] = 1.0
    stiff = sparse.diags([-band, 2 - ends, -band], [-1, 0, 1]) / h
    mass = sparse.diags(h * (1 - ends / 2))

    def product(special):
        terms = ([special if i == j else mass for j in range(d)] for i in range(d))
        return sum(functools.reduce(sparse.kron, factors) for factors in terms)

    axes = np.meshgrid(*[np.linspace(0, 1, n)] * d, indexing="ij")
    lumped = functools.reduce(sparse.kron, [mass] * d).diagonal()
    points = np.stack([a.ravel() for a in axes], axis=1)
    return MeshMatrices(points, lumped, product(stiff), product(sparse.diags(ends)))


def covariances(field, point):
    """The covariance of every node with the node nearest to a point, and the distances."""
    points = field.mesh.coordinates
    k = np.argmin(np.linalg.norm(points - point, axis=1))
    unit = np.zeros(len(points))
    unit[k] = 1.0
    return field.apply(field.apply_transpose(unit)), np.linalg.norm(points - points[k], axis=1)


def variance(field, point):
    """The variance at the node nearest to a point."""
    found, r = covariances(field, point)
    return float(found[np.argmin(r)])


CASES = [  # nodes, d, smoothness, length, relative tolerance (of the mesh)
    (401, 1, 1.5, 0.1, 1e-3),
    (401, 1, 3.5, 0.08, 1e-3),
    (81, 2, 1.0, 0.1, 0.025),
    (81, 2, 3.0, 0.08, 0.015),
    (25, 3, 0.5, 0.15, 0.06),
]


@pytest.mark.parametrize(("n", "d", "nu", "length", "tolerance"), CASES)
def test_the_covariance_inside_is_matern(n, d, nu, length, tolerance):
    covariance = Matern(nu, length, 2.0)
    field = SpdeField.on_mesh(mesh(n, d), covariance, mean=1.0)
    found, r = covariances(field, np.full(d, 0.5))
    inside = np.all(np.abs(field.mesh.coordinates - 0.5) < 0.3, axis=1)
    assert np.abs(found - covariance(r))[inside].max() < tolerance * 4.0
    other = Matern(nu, 1.5 * length, 2.0)
    assert np.abs(found - other(r))[inside].max() > 2 * tolerance * 4.0


def test_refining_the_mesh_converges_to_the_variance():
    gaps = []
    for n in (21, 41, 81):
        field = SpdeField.on_mesh(mesh(n, 2), Matern(1.0, 0.1))
        gaps.append(abs(variance(field, [0.5, 0.5]) - 1))
    assert gaps[0] > 2 * gaps[1] > 4.5 * gaps[2]


@pytest.mark.parametrize(
    ("n", "d", "nu", "length"), [(401, 1, 1.5, 0.1), (401, 1, 3.5, 0.08), (81, 2, 1.0, 0.1)]
)
def test_the_boundary_term_balances_the_variance_that_zero_flux_doubles(n, d, nu, length):
    m, covariance = mesh(n, d), Matern(nu, length)
    edge = np.full(d, 0.5)
    edge[0] = 0.0
    balanced = variance(SpdeField.on_mesh(m, covariance), edge)
    zero_flux = variance(SpdeField.on_mesh(m, covariance, robin=0.0), edge)
    inside = variance(SpdeField.on_mesh(m, covariance), np.full(d, 0.5))
    assert balanced / inside == pytest.approx(1.0, abs=0.02)
    assert zero_flux / inside == pytest.approx(2.0, abs=0.02)


def test_the_variance_stays_within_a_fifth_near_the_boundary():
    m = mesh(201, 1)
    field = SpdeField.on_mesh(m, Matern(1.5, 0.1))
    variances = np.sum(field.apply(np.eye(201)) ** 2, axis=0)
    assert variances.min() > 0.99
    assert variances.max() < 1.2


def test_the_balance_has_its_closed_values():
    assert balanced_robin(0.5) == pytest.approx(1.0, rel=1e-10)
    assert balanced_robin(1.5) == pytest.approx(math.sqrt(2) - 1, rel=1e-10)


@pytest.mark.parametrize(
    ("d", "nu", "allowed"),
    [
        (1, 1.0, "1.5, 3.5, 5.5"),
        (2, 1.5, "1, 3, 5"),
        (3, 1.0, "0.5, 2.5, 4.5"),
        (2, math.inf, "1, 3"),
    ],
)
def test_other_smoothness_is_refused_with_the_allowed_values(d, nu, allowed):
    with pytest.raises(
        ConfigError, match=f"'spde' in {d}-D takes {allowed}.*got {nu:g}; choose one"
    ):
        SpdeField.on_mesh(mesh(4, d), Matern(nu, 0.3))


def test_a_mesh_of_other_size_is_refused():
    m = mesh(4, 1)
    with pytest.raises(
        ShapeError, match=r"^mesh of 4 nodes: expected lumped mass \(4,\), stiffness"
    ):
        MeshMatrices(m.coordinates, m.mass_lumped[:3], m.stiffness, m.boundary_mass)


def test_a_vanishing_lumped_mass_is_refused():
    m = mesh(4, 1)
    with pytest.raises(ConfigError, match="lumped mass must be positive; use piecewise linear"):
        MeshMatrices(m.coordinates, 0 * m.mass_lumped, m.stiffness, m.boundary_mass)
