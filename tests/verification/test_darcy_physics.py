"""Conservation, maximum principle, symmetry, and agreement with solvers that share no code."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from pdeinv.fem.diffusion import DiffusionSystem
from pdeinv.fem.linear import SpdSystem
from pdeinv.problems.darcy import Darcy, DarcyConfig


def darcy(**settings):
    return Darcy(DarcyConfig.model_validate(settings))


def heads(left, right, **more):
    return {
        "left": {"kind": "dirichlet", "value": left},
        "right": {"kind": "dirichlet", "value": right},
        **{side: {"kind": "flux", "value": 0.0} for side in ("bottom", "top")},
        **more,
    }


def finite_differences(n):
    """-Δu = 1 with u = 0 on the unit square by five points; all (n + 1)² nodes, row-major."""
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n - 1, n - 1)) * n**2
    one = sparse.eye_array(n - 1)
    inner = spsolve(
        (sparse.kron(line, one) + sparse.kron(one, line)).tocsc(), np.ones((n - 1) ** 2)
    )
    u = np.zeros((n + 1, n + 1))
    u[1:-1, 1:-1] = inner.reshape(n - 1, n - 1)
    return u.ravel()


def test_constant_conductivity_on_triangles_is_the_five_point_scheme():
    problem = darcy(cells=20)
    m = np.full(problem.prior().space.size, 2.0)
    u = problem.solve(m, level=0)["u"].values
    np.testing.assert_allclose(2.0 * u, finite_differences(20), atol=1e-14)


@pytest.mark.parametrize("element", ["P2", "Q2"])
def test_the_centre_value_on_the_square_is_that_of_the_series(element):
    problem = darcy(cells=32, element=element)
    m = np.ones(problem.prior().space.size)
    data = problem.forward_model({"x": np.array([0.5]), "y": np.array([0.5])})(m)
    assert data[0] == pytest.approx(0.07367135328, abs=2e-8)


def random_m(problem, seed=3):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def test_layers_in_series_carry_the_flux_of_their_harmonic_mean():
    layers = {"kind": "piecewise", "cells": (4, 1)}
    problem = darcy(cells=(16, 3), boundary=heads(3.0, 1.0), source=0.0, unknown=layers)
    m = np.array([1.0, 50.0, 0.02, 4.0])
    flux = 2.0 / np.mean(1 / m)
    edges = np.linspace(0, 1, 5)
    sensors = {"x": np.repeat(edges, 2)[1:-1], "y": np.full(8, 0.37)}
    u = problem.forward_model(sensors)(m)
    drops = u[0::2] - u[1::2]
    np.testing.assert_allclose(drops * m / 0.25, flux, rtol=1e-11)


@pytest.mark.parametrize("element", ["P1", "Q1", "P2", "Q2"])
def test_what_the_source_puts_in_flows_out_through_the_boundary(element):
    problem = darcy(
        cells=12,
        element=element,
        lengths=(2.0, 1.0),
        source="1 + x*y",
        boundary=heads(1.0, "sin(y)", top={"kind": "flux", "value": "0.3 - x"}),
    )
    system, u = problem.state(random_m(problem))
    out_through_heads = -boundary_work(system, u)
    out_through_top = 0.3 * 2.0 - 2.0
    assert out_through_heads + out_through_top == pytest.approx(3.0, rel=1e-10)


def boundary_work(system, u):
    """∫ κ ∂u/∂n over the Dirichlet sides by the matrix without conditions: Σ (A u - b) there."""
    free = SpdSystem(system.form, system.space.V)
    free.assemble()
    product = free.matrix.createVecLeft()
    argument = free.matrix.createVecRight()
    argument.array[:] = u
    free.matrix.mult(argument, product)
    residual = product.array - system.load
    inner = np.setdiff1d(np.arange(len(u)), system.fixed)
    assert np.abs(residual[inner]).max() < 1e-11
    return residual[system.fixed].sum()


@pytest.mark.parametrize("seed", range(5))
def test_without_source_the_head_stays_between_its_boundary_values(seed):
    problem = darcy(
        cells=24, source=0.0, boundary=heads("2 + sin(9*y)", 0.5), unknown={
            "kind": "log-gaussian", "std": 3.0, "length": 0.1, "modes": 60,
        },
    )  # fmt: skip
    u = problem.solve(random_m(problem, seed), level=0)["u"].values
    assert u.min() >= 0.5 - 1e-9
    assert u.max() <= 3.0 + 1e-9


def test_a_positive_source_gives_a_positive_head():
    problem = darcy(cells=24, unknown={"kind": "two-phase"})
    u = problem.solve(random_m(problem), level=0)["u"].values
    assert u.min() >= -1e-15


def test_a_point_source_and_a_point_sensor_may_be_exchanged():
    problem = darcy(cells=16)
    system, _ = problem.state(random_m(problem))
    here, there = system.space.evaluation(np.array([[0.31, 0.62], [0.77, 0.18]])).toarray()
    first, second = system.linear.solve(here), system.linear.solve(there)
    assert there @ first == pytest.approx(here @ second, rel=1e-12)
    assert there @ first > 0


@pytest.mark.parametrize("method", ["cholesky", "mumps", "cg"])
def test_all_linear_solvers_agree(method):
    problem = darcy(cells=32)
    system, u = problem.state(random_m(problem))
    other = DiffusionSystem(system.space, problem.boundary(), lambda x, _y: np.ones_like(x), method)
    other.factor(system.kappa.x.array)
    np.testing.assert_allclose(other.state(), u, atol=1e-11 * u.max())


def test_elements_of_different_kinds_agree_on_a_random_field():
    sensors = {"x": np.array([0.2, 0.5, 0.9]), "y": np.array([0.3, 0.5, 0.8])}
    found = []
    for element in ("P1", "Q1", "P2", "Q2"):
        problem = darcy(cells=32, element=element)
        found.append(problem.forward_model(sensors, level=1)(random_m(problem)))
    np.testing.assert_allclose(found, np.tile(found[-1], (4, 1)), rtol=6e-3)
