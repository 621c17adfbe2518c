"""Assembly as a sparse tensor is that of dolfinx, and rows of Darcy keep their promise."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.errors import SolverDiverged
from pdeinv.fem import compiled
from pdeinv.fem.compiled import CompiledSystem, factor_bytes
from pdeinv.fem.env import fenicsx
from pdeinv.fem.tensor import SparseTensor
from pdeinv.model.forward import Capability
from pdeinv.plugins.recipe import make_problem

pytestmark = pytest.mark.usefixtures("solves_here")

RNG = np.random.default_rng(3)
LIFTED = {"left": {"kind": "dirichlet", "value": "1 + y"}, "top": {"kind": "flux", "value": 0.3}}


def darcy(**config):
    unknown = {"kind": "log-gaussian", "grid": [9, 9], "modes": 12}
    return make_problem("darcy", {"cells": 12, "unknown": unknown, **config})


@pytest.mark.parametrize("element", ["P1", "Q1", "P2", "Q2"])
def test_entries_are_those_of_dolfinx(element):
    system = darcy(element=element).system()
    tensor = SparseTensor.of(system.form, system.kappa)
    kappa = np.exp(RNG.standard_normal(tensor.map.shape[1]))
    system.kappa.x.array[:] = kappa
    expected = fenicsx().fem.assemble_matrix(system.form).to_scipy()
    found = sparse.coo_array((tensor.entries(kappa), (tensor.rows, tensor.columns)))
    assert abs(found.tocsr() - expected).max() < 1e-14 * abs(expected).max()


def test_the_reduced_equation_gives_the_state_of_the_whole_one():
    problem = darcy(boundary=LIFTED)
    m = problem.prior().unwhiten(RNG.standard_normal(12))
    places = problem.sensors("grid:5x5")
    expected = problem.observe(problem.solve(m, level=0), places)
    np.testing.assert_allclose(problem.forward_model(places)(m), expected, rtol=1e-11)


def test_compiled_kernels_and_petsc_agree(monkeypatch):
    problem = darcy(boundary=LIFTED)
    places, prior = problem.sensors("grid:5x5"), problem.prior()
    ms = prior.unwhiten(RNG.standard_normal((11, prior.dim)))
    fast = problem.forward_model(places)
    monkeypatch.setattr(compiled, "LIMIT", 0)
    plain = problem.forward_model(places)
    assert isinstance(fast.system.linear, CompiledSystem)
    assert Capability.ROWS in fast.capabilities
    assert Capability.ROWS not in plain.capabilities
    at = fast.linearize_rows(ms)
    w, v = RNG.standard_normal(at.values.shape), RNG.standard_normal(ms.shape)
    pulled, pushed = at.vjp(w), at.jvp(v)
    for i, m in enumerate(ms):
        one = plain.linearize(m)
        np.testing.assert_allclose(at.values[i], one.value, rtol=1e-12)
        np.testing.assert_allclose(pulled[i], one.vjp(w[i]), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(pushed[i], one.jvp(v[i]), rtol=1e-9, atol=1e-12)


def test_a_matrix_that_is_not_positive_definite_fails_alone():
    system = darcy().forward_model({"x": np.array([0.4]), "y": np.array([0.6])}).system
    entries = system.lower.entries(np.ones(system.lower.map.shape[1]))
    system.linear.fill(-entries)
    with pytest.raises(SolverDiverged, match="not positive definite"):
        system.linear.solve(system.load)
    system.linear.fill(entries)
    assert np.isfinite(system.linear.solve(system.load)).all()


@pytest.mark.parametrize("cells", [32, 48])
def test_the_size_of_a_factor_is_known_before_it_is_ordered(cells):
    problem = darcy(cells=cells, element="Q1")
    system = problem.forward_model(problem.sensors("grid:3x3")).system
    assert system.linear.cholesky.bytes(1) == pytest.approx(factor_bytes(problem.dofs(0)), rel=0.3)
