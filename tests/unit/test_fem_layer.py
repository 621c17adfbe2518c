"""Meshes, grid operators, hat functions, and the finite-element pieces that problems share."""

import subprocess
import sys

import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.fem import compiled, linear
from pdeinv.fem.env import fenicsx
from pdeinv.fem.mesh import PlainMesh, canonical_order, rectangle
from pdeinv.fem.p1 import barycentric, p1_matrices
from pdeinv.fem.quadrature import QuadratureSpace
from pdeinv.fem.space import LagrangeSpace
from pdeinv.model.multilinear import cell_choice, multilinear
from pdeinv.plugins.recipe import make_problem

RNG = np.random.default_rng(0)
SOME = RNG.random((50, 2)) * [2.0, 1.0]


def field(p):
    return 1 + 2 * p[:, 0] - 3 * p[:, 1] + 4 * p[:, 0] * p[:, 1]


def linear_field(p):
    return 1 + 2 * p[:, 0] - 3 * p[:, 1]


def area(mesh):
    p = mesh.points[mesh.cells]
    q = np.roll(p, -1, axis=1)
    return 0.5 * np.sum(p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0], axis=1)


@pytest.mark.parametrize("shape", ["triangle", "quadrilateral"])
def test_a_rectangle_has_its_area_sides_and_row_major_nodes(shape):
    mesh = rectangle((2.0, 1.0), (3, 4), shape)
    assert mesh.shape == shape
    assert (area(mesh) > 0).all()
    assert area(mesh).sum() == pytest.approx(2.0)
    x, y = np.meshgrid(np.linspace(0, 2, 4), np.linspace(0, 1, 5))
    np.testing.assert_allclose(mesh.points, np.stack([x.ravel(), y.ravel()], axis=1))
    assert (mesh.points[mesh.nodes_on(["right"])][:, 0] == 2.0).all()
    assert len(mesh.nodes_on(["left", "right", "bottom", "top"])) == 14


@pytest.mark.parametrize("shape", ["triangle", "quadrilateral"])
def test_refining_a_rectangle_gives_the_finer_rectangle(shape):
    fine, direct = (
        rectangle((2.0, 1.0), (3, 2), shape).refined(),
        rectangle((2.0, 1.0), (6, 4), shape),
    )
    np.testing.assert_allclose(fine.points, direct.points, atol=1e-15)
    for a, b in ((fine.cells, direct.cells), (fine.edges, direct.edges)):
        assert {frozenset(row) for row in a.tolist()} == {frozenset(row) for row in b.tolist()}
    np.testing.assert_array_equal(fine.nodes_on(["top"]), direct.nodes_on(["top"]))


def test_the_canonical_order_is_blind_to_rounding_and_to_the_order_given():
    mesh = rectangle((1.0, 1.0), (1024, 2), "triangle")
    shuffle = RNG.permutation(len(mesh.points))
    noisy = (mesh.points + 1e-15 * RNG.standard_normal(mesh.points.shape))[shuffle]
    np.testing.assert_array_equal(shuffle[canonical_order(noisy)], np.arange(len(noisy)))


def test_a_mesh_needs_a_cell():
    with pytest.raises(ConfigError, match="at least one cell per direction, got 3 x 0"):
        rectangle((1.0, 1.0), (3, 0), "triangle")


def test_bilinear_interpolation_is_exact_for_bilinear_fields_and_convex():
    x, y = np.linspace(0, 2, 4), np.linspace(0, 1, 6)
    nodes = np.stack([a.ravel() for a in np.meshgrid(x, y)], axis=1)
    matrix = multilinear([x, y], SOME)
    np.testing.assert_allclose(matrix @ field(nodes), field(SOME), rtol=1e-13)
    assert matrix.data.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    np.testing.assert_allclose((multilinear([x, y], nodes) - np.eye(24)), 0, atol=1e-14)


def test_cell_values_are_those_of_the_cell_that_holds_the_point():
    x, y = np.array([0.0, 0.5, 2.0]), np.array([0.0, 0.25, 0.5, 1.0])
    points = np.array([[0.1, 0.1], [1.9, 0.1], [0.1, 0.3], [2.0, 1.0], [0.5, 0.0]])
    np.testing.assert_array_equal(cell_choice([x, y], points) @ np.arange(6.0), [0, 1, 2, 5, 1])


def test_hat_functions_have_the_known_integrals():
    mesh = rectangle((2.0, 1.0), (5, 4), "triangle")
    matrices = p1_matrices(mesh)
    x, one = mesh.points[:, 0], np.ones(len(mesh.points))
    assert matrices.mass_lumped.sum() == pytest.approx(2.0)
    assert x @ matrices.mass_lumped == pytest.approx(2.0)
    assert x @ matrices.stiffness @ x == pytest.approx(2.0)
    np.testing.assert_allclose(matrices.stiffness @ one, 0, atol=1e-13)
    assert one @ matrices.boundary_mass @ one == pytest.approx(6.0)
    assert x @ matrices.boundary_mass @ x == pytest.approx(2 * 8 / 3 + 4)


def test_hat_functions_of_clockwise_triangles_have_the_same_integrals():
    mesh = rectangle((2.0, 1.0), (5, 4), "triangle")
    flipped = PlainMesh(mesh.points, mesh.cells[:, ::-1], mesh.edges, mesh.tags, mesh.sides)
    a, b = p1_matrices(mesh), p1_matrices(flipped)
    np.testing.assert_allclose(a.mass_lumped, b.mass_lumped)
    np.testing.assert_allclose(a.stiffness.toarray(), b.stiffness.toarray(), atol=1e-14)


def test_hat_functions_interpolate_linear_fields_and_refuse_points_outside():
    mesh = rectangle((2.0, 1.0), (5, 4), "triangle")
    found = barycentric(mesh, SOME) @ linear_field(mesh.points)
    np.testing.assert_allclose(found, linear_field(SOME), rtol=1e-12)
    with pytest.raises(DataSchemaError, match=r"point 1 at \(x, y\) = \(3, 0.5\) lies outside"):
        barycentric(mesh, np.array([[0.1, 0.1], [3.0, 0.5]]))
    with pytest.raises(ConfigError, match="expected a mesh of triangles"):
        p1_matrices(rectangle((1.0, 1.0), (2, 2), "quadrilateral"))


def space(element, n=(4, 3)):
    shape = "triangle" if element[0] == "P" else "quadrilateral"
    return LagrangeSpace(rectangle((2.0, 1.0), n, shape), element, fenicsx().MPI.COMM_SELF)


@pytest.mark.parametrize("element", ["P1", "P2", "Q1", "Q2"])
def test_gathered_values_stand_at_their_nodes(element):
    V = space(element)
    values = V.interpolate(lambda x, y: x + 10 * y).x.array
    nodes = V.lattice.points
    np.testing.assert_allclose(V.gather(values), nodes[:, 0] + 10 * nodes[:, 1], atol=1e-13)
    assert V.n_global == len(nodes)


@pytest.mark.parametrize("element", ["P1", "P2", "Q1", "Q2"])
def test_facets_and_dofs_of_a_side_lie_on_it(element):
    V = space(element)
    assert len(V.facets(["top"])) == 4
    x = V.V.tabulate_dof_coordinates()[V.dofs(["top"])]
    assert len(x) == (5 if element[1] == "1" else 9)
    np.testing.assert_allclose(x[:, 1], 1.0, rtol=1e-15)
    assert len(V.facets([""])) == 0


@pytest.mark.parametrize(("element", "degree"), [("P1", 1), ("P2", 3), ("Q1", 2), ("Q2", 4)])
def test_quadrature_points_lie_where_the_rule_puts_its_values(element, degree):
    fx = fenicsx()
    Q = QuadratureSpace(space(element), degree)
    values = Q.function(linear_field(Q.points))
    x = fx.ufl.SpatialCoordinate(Q.base.mesh)
    gap = fx.fem.form((values - (1 + 2 * x[0] - 3 * x[1])) ** 2 * Q.dx)
    assert fx.fem.assemble_scalar(gap) < 1e-25
    total = fx.fem.form(values * Q.dx)
    assert fx.fem.assemble_scalar(total) == pytest.approx(2 * (1 + 2 - 1.5))


@pytest.mark.parametrize("element", ["P1", "P2", "Q1", "Q2"])
def test_observation_is_the_elements_own_interpolation(element):
    V = space(element)
    exact = field if element in ("P2", "Q1", "Q2") else linear_field
    u = V.interpolate(lambda x, y: exact(np.stack([x, y], axis=1))).x.array
    matrix = V.evaluation(SOME)
    np.testing.assert_allclose(matrix @ u, exact(SOME), rtol=1e-11, atol=1e-12)


def test_a_matrix_that_is_not_definite_fails_with_its_reason():
    fx, V = fenicsx(), space("P1", (6, 6))
    u, v = fx.ufl.TrialFunction(V.V), fx.ufl.TestFunction(V.V)
    factor = fx.fem.Constant(V.mesh, -1.0)
    form = fx.fem.form(factor * fx.ufl.inner(fx.ufl.grad(u), fx.ufl.grad(v)) * fx.ufl.dx)
    system = linear.SpdSystem(form, V.V, method="cg")
    system.assemble()
    with pytest.raises(
        SolverDiverged, match=r"linear solver \(cg\) failed: .*is not positive definite"
    ):
        system.solve(RNG.standard_normal(V.n_global))


@pytest.mark.parametrize(
    ("n", "ranks", "work", "method"),
    [
        (1089, 1, {}, "cholesky"),
        (1089, 2, {}, "mumps"),
        (148_225, 1, {}, "cholesky"),
        (263_169, 1, {}, "mumps"),
        (263_169, 1, {"solves": 100}, "cholesky"),
        (263_169, 2, {"solves": 100}, "mumps"),
        (4_913, 1, {"dim": 3}, "mumps"),
        (4_913, 1, {"dim": 3, "solves": 50}, "cholesky"),
        (15_625, 1, {"dim": 3, "solves": 50}, "mumps"),
        (15_625, 1, {"dim": 3, "solves": 500}, "cholesky"),
        (35_937, 1, {"dim": 3, "solves": 500}, "mumps"),
        (500_000, 1, {"dim": 1}, "cholesky"),
        (10**6, 1, {"solves": 1000}, "cg"),
    ],
)
def test_the_solver_is_chosen_by_size_and_solves(n, ranks, work, method):
    assert linear.choose_method(n, ranks, **work) == method


def test_heat_chooses_its_solver_by_the_steps_that_share_a_factor(monkeypatch):
    monkeypatch.setattr(compiled, "LIMIT", 0)
    kinds = {}
    for steps in (1, 40):
        scheme = {"time": {"steps": steps, "scheme": "bdf2"}, "cells": 16, "lengths": [1.0] * 3}
        problem = make_problem("heat", scheme)
        model = problem.forward_model(problem.sensors("grid:2@1:1:1"))
        kinds[steps] = model._system.main.solver.method, model._system.start.solver.method
    assert kinds == {1: ("mumps", "mumps"), 40: ("cholesky", "mumps")}


def test_each_solver_hears_its_own_options_alone():
    V = space("P1")
    fx = fenicsx()
    u, v = fx.ufl.TrialFunction(V.V), fx.ufl.TestFunction(V.V)
    form = fx.fem.form(fx.ufl.inner(u, v) * fx.ufl.dx)
    before = dict(fx.PETSc.Options().getAll())
    prefixes = {linear.SpdSystem(form, V.V)._ksp.getOptionsPrefix() for _ in range(3)}
    assert len(prefixes) == 3
    assert dict(fx.PETSc.Options().getAll()) == before


@pytest.mark.parametrize(("module", "call"), [("dolfinx", "fenicsx"), ("gmsh", "require_gmsh")])
def test_an_absent_package_is_named_with_its_remedy(module, call):
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from pdeinv.errors import MissingDependency\n"
        f"from pdeinv.fem.env import {call}\n"
        f"try:\n    {call}()\n"
        "except MissingDependency as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert module in done.stdout
    assert "pip install -e '.[fem]'" in done.stdout


@pytest.mark.parametrize("problem", ["darcy", "heat"])
def test_of_two_prescribed_sides_the_later_one_holds_at_their_corner(problem):
    """In the order left, right, bottom, top."""
    sides = {"left": 1.0, "right": 2.0, "bottom": 3.0, "top": 4.0}
    boundary = {side: {"kind": "dirichlet", "value": value} for side, value in sides.items()}
    made = make_problem(problem, {"cells": 4, "boundary": boundary})
    fields = made.solve(made.prior().unwhiten(np.zeros(made.prior().dim)), 0)
    last = fields["u"].values.reshape(-1, fields.sizes["node"])[-1]
    x, y = fields["x"].values, fields["y"].values
    for corner, wanted in {(0, 0): 3.0, (1, 0): 3.0, (0, 1): 4.0, (1, 1): 4.0}.items():
        (found,) = last[np.isclose(x, corner[0]) & np.isclose(y, corner[1])]
        assert found == wanted
