"""Impedance tomography against exact solutions, a plain assembly, pyEIT and conservation laws."""

import gmsh
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from pdeinv.fem.env import fenicsx
from pdeinv.problems.eit import Eit, EitConfig


def make(**settings):
    return Eit(EitConfig.model_validate(settings))


def uniform(problem, level=0, gamma=1.0):
    """The response of a body of constant admittivity."""
    body = problem.body(level)
    weights = body.energy.rule.weights
    z = problem.unknown.impedances if problem.config.model == "electrodes" else np.zeros(0)
    return body, body.respond(np.full(len(weights), gamma), z)


@pytest.mark.parametrize(
    ("map_", "element"),
    [
        ("dirichlet-to-neumann", "P1"),
        ("dirichlet-to-neumann", "P2"),
        ("neumann-to-dirichlet", "P2"),
    ],
)
def test_maps_of_the_unit_disc_have_eigenvalues_k_to_one_percent(map_, element):
    problem = make(model="continuum", modes=16, map=map_, element=element)
    x = uniform(problem, level=1 if element == "P1" else 0)[1].value
    k = np.repeat(np.arange(1, 17), 2)
    found = np.diag(x) if map_ == "dirichlet-to-neumann" else 1 / np.diag(x)
    assert np.abs(found / k - 1).max() < 0.01
    off = x - np.diag(np.diag(x))
    assert np.abs(off).max() < 1e-3 * np.abs(x).max()


def test_eigenvalues_of_the_disc_converge_with_order_two():
    problem = make(model="continuum", modes=4, cells=12)
    k = np.repeat(np.arange(1, 5), 2)
    errors = [np.abs(np.diag(uniform(problem, n)[1].value) / k - 1).max() for n in (0, 1, 2)]
    rates = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.abs(rates - 2).max() < 0.1


@pytest.mark.parametrize("inner", [0.2, 5.0])
def test_two_concentric_layers_have_the_analytic_eigenvalues(inner):
    """λ_k = k (1 + μ ρ^2k)/(1 − μ ρ^2k), μ = (σ_1 − 1)/(σ_1 + 1): Siltanen et al. (2000)."""
    problem = make(model="continuum", modes=8, cells=40)
    body = problem.body(1)
    rho, mu = 0.6, (inner - 1) / (inner + 1)
    near = np.hypot(*body.energy.rule.points.T) < rho
    x = body.respond(np.where(near, inner, 1.0), np.zeros(0)).value
    k = np.repeat(np.arange(1, 9), 2)
    exact = k * (1 + mu * rho ** (2 * k)) / (1 - mu * rho ** (2 * k))
    assert np.abs(np.diag(x) / exact - 1).max() < 0.01


def test_the_two_maps_are_inverse_to_each_other():
    x, y = (
        uniform(make(model="continuum", modes=6, map=m, domain={"kind": "ellipse"}), 1)[1].value
        for m in ("dirichlet-to-neumann", "neumann-to-dirichlet")
    )
    # the ellipse mixes modes, so that the product misses what lies above the highest one
    assert np.abs((x @ y - np.eye(12))[:4, :4]).max() < 0.02


PLATES = {"count": 2, "angles": (0.0, 180.0), "width": 0.8, "impedance": (0.3, 0.1)}
ONE_PAIR = {"kind": "matrix", "matrix": ((1.0, -1.0),)}
BETWEEN_PLATES = {
    "electrodes": PLATES,
    "drive": {"pattern": ONE_PAIR, "current": 0.02},
    "measure": {"pattern": ONE_PAIR, "include_driven": True},
    "unknown": {"kind": "uniform", "low": 0.5, "high": 2.0},
    "cells": 6,
}


@pytest.mark.parametrize("element", ["P1", "P2"])
@pytest.mark.parametrize("solid", [False, True])
def test_current_between_two_plates_is_exact(solid, element):
    """U_1 − U_2 = I (L/γ + z_1 + z_2)/A: the field is linear, so no error of discretisation."""
    domain = {"kind": "rectangle", "lengths": (1.2, 0.8), **({"depth": 0.5} if solid else {})}
    electrodes = PLATES | ({"height": 0.5} if solid else {})
    rest = {} if solid else {"thickness": 0.5}
    problem = make(**BETWEEN_PLATES | {"electrodes": electrodes}, domain=domain, element=element,
                   **rest)  # fmt: skip
    model = problem.forward_model(problem.sensors("all"))
    expected = 0.02 * (1.2 / 1.7 + 0.4) / (0.8 * 0.5)
    np.testing.assert_allclose(model(np.array([1.7])), expected, rtol=1e-11)


def test_complex_admittivity_keeps_its_imaginary_part():
    """The same plates at γ = σ + iωε, whose data are both parts of I (L/γ + z_1 + z_2)/A."""
    epsilon, frequency = 2e-6, 1e5
    problem = make(
        **BETWEEN_PLATES,
        domain={"kind": "rectangle", "lengths": (1.2, 0.8)},
        frequency=frequency,
        permittivity={"kind": "constant", "value": epsilon},
    )
    sensors = problem.sensors("all")
    np.testing.assert_array_equal(sensors["component"], [0, 1])
    gamma = 1.7 + 2j * np.pi * frequency * epsilon
    expected = 0.02 * (1.2 / gamma + 0.4) / 0.8
    found = problem.forward_model(sensors)(np.array([1.7]))
    np.testing.assert_allclose(found, [expected.real, expected.imag], rtol=1e-11)
    assert abs(found[1]) > 0.1 * abs(found[0])


def plain(problem, sigma, currents):
    """The bordered system of the complete electrode model by dolfinx's own forms."""
    fx = fenicsx()
    ufl, fem = fx.ufl, fx.fem
    space = problem.domain.space(0)
    V, z = space.V, problem.unknown.impedances
    u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
    a = fem.assemble_matrix(fem.form(sigma * ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx))
    a, n, count = a.to_scipy().tocsr(), space.size, len(z)
    border, areas = np.zeros((n, count)), np.zeros(count)
    c_to_f = space.domain.topology
    c_to_f.create_connectivity(1, 2)
    c_to_f.create_connectivity(2, 1)
    cell_facets = c_to_f.connectivity(2, 1)
    for k, name in enumerate(problem.domain.electrodes):
        cells, local = space.facets([name])
        facets = np.array([cell_facets.links(c)[i] for c, i in zip(cells, local, strict=True)])
        order = np.argsort(facets)
        tags = fx.mesh.meshtags(space.domain, 1, facets[order].astype(np.int32),
                                np.ones(len(facets), dtype=np.int32))  # fmt: skip
        ds = ufl.Measure("ds", domain=space.domain, subdomain_data=tags)(1)
        a = a + fem.assemble_matrix(fem.form(u * v * ds)).to_scipy() / z[k]
        border[:, k] = -fem.assemble_vector(fem.form(v * ds)).array / z[k]
        one = fem.Constant(space.domain, 1.0)
        areas[k] = fem.assemble_scalar(fem.form(one * ds)) / z[k]
    gauge = np.ones((count, 1))
    matrix = sparse.block_array(
        [[a, border, None], [border.T, np.diag(areas), gauge], [None, gauge.T, None]]
    ).tocsc()
    rhs = np.zeros((n + count + 1, len(currents)))
    rhs[n : n + count] = currents.T
    return np.stack([spsolve(matrix, b)[n : n + count] for b in rhs.T])


@pytest.mark.parametrize("element", ["P1", "P2"])
def test_potentials_are_those_of_a_plain_bordered_assembly(element):
    loose = {"count": 6, "cells": 2, "impedance": (0.1, 0.2, 0.05, 0.3, 0.1, 1)}
    problem = make(cells=8, element=element, domain={"kind": "thorax"}, electrodes=loose)
    fx = fenicsx()
    space, body = problem.domain.space(0), problem.body(0)
    x = fx.ufl.SpatialCoordinate(space.domain)
    # linear, so that the rule for σ is exact for P1 and both assemblies are the same
    sigma = 2.0 + 0.5 * x[0] - 0.3 * x[1]
    points = body.energy.rule.points
    mine = body.respond(2.0 + points @ [0.5, -0.3], problem.unknown.impedances)
    currents = np.eye(6)[:5] - np.eye(6)[1:]
    theirs = plain(problem, sigma, currents)
    found = currents @ mine.value
    np.testing.assert_allclose(found, theirs, atol=1e-10 * np.abs(theirs).max())
    # reciprocity of the plain solve, which nothing has made symmetric
    table = theirs @ currents.T
    np.testing.assert_allclose(table, table.T, atol=1e-10 * np.abs(table).max())


def test_currents_are_conserved_electrode_by_electrode():
    problem = make(cells=12, electrodes={"count": 8, "cells": 2})
    body, response = uniform(problem)
    z = problem.unknown.impedances
    for k, (side, u) in enumerate(zip(problem.domain.electrodes, np.eye(8), strict=True)):
        rule = body.energy.space.facet_rule(side, 2)
        inward = (response.value[k] - rule.values @ response.fields) / z[k]
        # a unit current spread over all electrodes leaves one ampere less the mean in each
        np.testing.assert_allclose(rule.weights @ inward, u - 1 / 8, atol=1e-10)
    np.testing.assert_allclose(response.value.sum(axis=0), 0, atol=1e-12)


def test_electrode_voltages_converge_at_the_predicted_order():
    """Order 2 − ε for P1, since u is in H^(2−ε) and voltages are energies; against level 5."""
    problem = make(cells=4, electrodes={"count": 4, "cells": 2, "impedance": 0.5})
    values = [uniform(problem, level)[1].value for level in (1, 2, 3, 5)]
    errors = [np.linalg.norm(x - values[-1]) for x in values[:-1]]
    first, second = np.log2(np.divide(errors[:-1], errors[1:]))
    assert 1.6 < first < second < 2.1
    assert errors[-1] < 1e-3 * np.linalg.norm(values[-1])


def test_a_thin_cylinder_is_a_slab():
    wide = {"count": 4, "cells": 3, "impedance": 0.1}
    plane = uniform(make(cells=12, electrodes=wide, thickness=0.4))[1].value
    deep = {"kind": "disc", "depth": 0.4}
    solid = make(cells=12, electrodes={**wide, "height": 0.4}, domain=deep)
    np.testing.assert_allclose(uniform(solid)[1].value, plane, rtol=0.02, atol=0.005)


def test_voltages_on_undriven_pairs_are_those_of_pyeit():
    """pyEIT's point electrodes against narrow ones of the complete model, on the same mesh."""
    from pyeit.eit.fem import EITForward
    from pyeit.eit.protocol import create
    from pyeit.mesh import PyEITMesh

    narrow = {"count": 16, "width": 0.02, "cells": 2, "impedance": 1e-3}
    problem = make(cells=24, electrodes=narrow, unknown={"kind": "elements"},
                   drive={"current": 1.0}, measure={"pattern": {"kind": "single"},
                   "include_driven": True})  # fmt: skip
    mesh, place = problem.domain.mesh(0), problem.domain.electrode_places()[0]
    at = [int(np.linalg.norm(mesh.points - p, axis=1).argmin()) for p in place]
    np.testing.assert_allclose(mesh.points[at], place, atol=1e-9)
    centre = mesh.points[mesh.cells].mean(axis=1)
    sigma = np.where(np.hypot(*(centre - [0.3, 0.2]).T) < 0.35, 4.0, 1.0)
    nodes = np.column_stack([mesh.points, np.zeros(len(mesh.points))])
    centre_node = int(np.hypot(*mesh.points.T).argmin())
    theirs = PyEITMesh(nodes, mesh.cells, sigma, np.array(at), centre_node)
    protocol = create(16, dist_exc=1, step_meas=1, parser_meas="std")
    voltages = EITForward(theirs, protocol).solve_eit().reshape(16, -1)
    model = problem.forward_model(problem.sensors("all"))
    first, second = np.moveaxis(protocol.meas_mat, 2, 0)
    rows, potentials = np.arange(16)[:, None], model.table(model.state(sigma))
    mine = potentials[rows, first] - potentials[rows, second]
    assert np.abs(mine / voltages - 1).max() < 0.02


def _msh(path, solid):
    gmsh.initialize(["test"], readConfigFiles=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        gmsh.model.add("plates")
        box = (-0.6, -0.4, 0.0, 1.2, 0.8)
        shape = gmsh.model.occ.addBox(*box, 0.5) if solid else gmsh.model.occ.addRectangle(*box)
        gmsh.model.occ.synchronize()
        dim = 3 if solid else 2
        ends = {}
        for d, tag in gmsh.model.getEntities(dim - 1):
            centre = gmsh.model.occ.getCenterOfMass(d, tag)
            if abs(abs(centre[0]) - 0.6) < 1e-9:
                ends[centre[0] < 0] = tag
        gmsh.model.addPhysicalGroup(dim - 1, [ends[False]], 7, name="electrode1")
        gmsh.model.addPhysicalGroup(dim - 1, [ends[True]], 8, name="electrode2")
        gmsh.model.addPhysicalGroup(dim, [shape], 9, name="tank")
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.3)
        gmsh.model.mesh.generate(dim)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


@pytest.mark.parametrize("solid", [False, True])
@pytest.mark.parametrize("level", [0, 1])
def test_a_gmsh_file_with_named_electrodes_is_solved(tmp_path, solid, level):
    _msh(tmp_path / "tank.msh", solid)
    domain = {"kind": "msh", "file": str(tmp_path / "tank.msh"), "volume": solid}
    electrodes = {"impedance": (0.3, 0.1)}
    problem = make(**BETWEEN_PLATES | {"electrodes": electrodes}, domain=domain)
    places, widths = problem.domain.electrode_places()
    np.testing.assert_allclose(places[:, 0], [0.6, -0.6], atol=1e-9)
    np.testing.assert_allclose(widths, [np.sqrt(0.4) if solid else 0.8] * 2)
    found = problem.forward_model(problem.sensors("all"), level)(np.array([1.7]))
    area = 0.4 if solid else 0.8
    np.testing.assert_allclose(found, 0.02 * (1.2 / 1.7 + 0.4) / area, rtol=1e-11)
