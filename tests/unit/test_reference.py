"""What finite-element models share: one state for the last unknown, and typed failures."""

import numpy as np
import pytest

from pdeinv.errors import SolverDiverged
from pdeinv.model.coefficient import Affine, jacobian
from pdeinv.model.forward import LinearModel
from pdeinv.model.reference import ReferenceModel
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.recipe import make_problem

THREE, TWO = (Space((Variable(n, ("i",), (k,)),)) for n, k in (("m", 3), ("d", 2)))
MATRIX = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])


class Squares(ReferenceModel):
    """G(m) = A m²."""

    def __init__(self):
        super().__init__(THREE, TWO)
        self.solves = 0

    def solved(self, m):
        self.solves += 1
        return m**2

    def data(self, m, *, again):
        return MATRIX @ self.state(m)

    def tangent(self, m, dm):
        return MATRIX @ (2 * m * dm)

    def adjoint(self, m, w):
        return 2 * m * (MATRIX.T @ w)


def test_one_solve_serves_the_value_and_both_derivatives():
    model, m = Squares(), np.array([1.0, 2.0, 3.0])
    at = model.linearize(m)
    w, dm = np.array([0.3, -1.0]), np.array([0.1, 0.2, -0.4])
    assert w @ at.jvp(dm) == pytest.approx(dm @ at.vjp(w), rel=1e-14)
    np.testing.assert_array_equal(model(m), at.value)
    assert model.solves == 1
    model(m + 1)
    assert model.solves == 2


def test_nothing_that_is_not_finite_goes_in_or_comes_out():
    model = Squares()
    with pytest.raises(SolverDiverged, match=r"the unknown must be finite; value 1 of m is nan$"):
        model(np.array([1.0, np.nan, 2.0]))
    assert model.solves == 0
    with np.errstate(all="ignore"), pytest.raises(SolverDiverged, match="data with values"):
        model(np.full(3, 1e200))
    at = model.linearize(np.ones(3))
    with np.errstate(all="ignore"), pytest.raises(SolverDiverged, match="a gradient with values"):
        at.vjp(np.full(2, 1e308))
    with np.errstate(all="ignore"), pytest.raises(SolverDiverged, match="a tangent with values"):
        at.jvp(np.full(3, 1e308))


def test_a_linear_model_refuses_one_unknown_that_is_not_finite():
    model = LinearModel(THREE, TWO, MATRIX, np.zeros(2))
    with pytest.raises(SolverDiverged, match="m must be finite"):
        model(np.array([np.nan, 0.0, 0.0]))
    assert np.isnan(model(np.array([[np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]]))[0]).any()


@pytest.mark.parametrize("name", ["darcy", "heat", "helmholtz", "eit"])
def test_every_problem_refuses_an_unknown_that_is_not_finite(name):
    problem = make_problem(name, {"cells": 6} if name != "helmholtz" else {})
    model = problem.forward_model(problem.sensors(problem.default_sensors))
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    m[-1] = np.nan
    for call in (model, model.linearize, problem.solve):
        with pytest.raises(SolverDiverged, match=r"of m is nan$"):
            call(m)


@pytest.mark.parametrize("name", ["darcy", "heat", "helmholtz", "eit"])
def test_axes_are_those_of_the_grid(name):
    problem = make_problem(name, {})
    assert problem.axes == ("x", "y")
    assert {*problem.grid((2, 3))} - {"t"} == set(problem.axes)


def test_the_jacobian_of_a_map_is_its_tangents_side_by_side():
    affine = Affine(MATRIX, 1.0)
    np.testing.assert_array_equal(jacobian(affine, np.ones(3)), MATRIX)
    np.testing.assert_array_equal(affine(np.ones(3)), [4.0, 1.0])

    class Cubic:
        def jvp(self, m, dm):
            return MATRIX @ (3 * m**2 * dm)

    np.testing.assert_array_equal(jacobian(Cubic(), np.array([1.0, 2, 3])), MATRIX * [3, 12, 27])
