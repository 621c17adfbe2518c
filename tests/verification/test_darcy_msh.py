"""Darcy on meshes that Gmsh made: sides by name, orders under refinement, clear errors."""

import gmsh
import numpy as np
import pytest
from norms import l2_error

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.plane_msh import read_msh
from pdeinv.problems.darcy import Darcy, DarcyConfig

HOLE = (0.55, 0.45, 0.15)


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    """A plate with an octagonal hole (triangles), a trapezium (quadrilaterals), and unfit ones."""
    folder = tmp_path_factory.mktemp("msh")
    gmsh.initialize(["test"], readConfigFiles=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        yield {
            "plate": plate(folder / "plate.msh"),
            "second order": plate(folder / "order2.msh", order=2),
            "quads": trapezium(folder / "quads.msh", 0.0),
            "raised": trapezium(folder / "raised.msh", 0.5),
            "points": points_only(folder / "points.msh"),
        }
    finally:
        gmsh.finalize()


def polygon(corners, size, z=0.0):
    geo = gmsh.model.geo
    points = [geo.addPoint(x, y, z, size) for x, y in corners]
    lines = [geo.addLine(a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
    return lines, geo.addCurveLoop(lines)


def plate(path, order=1):
    gmsh.clear()
    outer, loop = polygon([(0, 0), (1, 0), (1, 1), (0, 1)], 0.15)
    angles = np.arange(8) * np.pi / 4
    x, y, r = HOLE
    inner, hole = polygon(np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], 1), 0.1)
    surface = gmsh.model.geo.addPlaneSurface([loop, hole])
    gmsh.model.geo.synchronize()
    gmsh.model.addPhysicalGroup(1, [outer[3]], 11, name="inflow")
    gmsh.model.addPhysicalGroup(1, [outer[1]], 12)
    gmsh.model.addPhysicalGroup(1, inner, 13, name="well")
    gmsh.model.addPhysicalGroup(2, [surface], 14, name="rock")
    gmsh.model.mesh.generate(2)
    gmsh.model.mesh.setOrder(order)
    gmsh.write(str(path))
    return path


def trapezium(path, z):
    gmsh.clear()
    lines, loop = polygon([(0, 0), (2, 0), (1.5, 1), (0, 1)], 0.3, z)
    surface = gmsh.model.geo.addPlaneSurface([loop])
    for line in lines:
        gmsh.model.geo.mesh.setTransfiniteCurve(line, 5)
    gmsh.model.geo.mesh.setTransfiniteSurface(surface)
    gmsh.model.geo.mesh.setRecombine(2, surface)
    gmsh.model.geo.synchronize()
    gmsh.model.mesh.generate(2)
    gmsh.write(str(path))
    return path


def points_only(path):
    gmsh.clear()
    gmsh.model.geo.addPoint(0, 0, 0)
    gmsh.model.geo.synchronize()
    gmsh.model.mesh.generate(0)
    gmsh.write(str(path))
    return path


def area(mesh):
    p = mesh.points[mesh.cells]
    q = np.roll(p, -1, axis=1)
    return 0.5 * np.sum(p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0], axis=1)


def lengths(mesh):
    return np.hypot(*np.diff(mesh.points[mesh.edges], axis=1)[:, 0].T)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_sides_areas_and_lengths_survive_reading_and_refinement(meshes, levels):
    mesh = read_msh(meshes["plate"])
    for _ in range(levels):
        mesh = mesh.refined()
    assert mesh.sides == {"inflow": 11, "12": 12, "well": 13}
    r = HOLE[2]
    assert (area(mesh) > 0).all()
    assert area(mesh).sum() == pytest.approx(1 - 2 * np.sqrt(2) * r**2, rel=1e-12)
    by_side = {tag: lengths(mesh)[mesh.tags == tag].sum() for tag in (11, 12, 13, 0)}
    octagon = 16 * r * np.sin(np.pi / 8)
    assert by_side == pytest.approx({11: 1.0, 12: 1.0, 13: octagon, 0: 2.0})
    assert (mesh.points[mesh.nodes_on(["inflow"])][:, 0] == 0).all()
    assert len(mesh.cells) == 4**levels * len(read_msh(meshes["plate"]).cells)


def on_plate(path, element="P1", **more):
    exact = "sin(x) * exp(y)"
    along = {"inflow": exact, "well": exact}
    boundary = {side: {"kind": "dirichlet", "value": text} for side, text in along.items()}
    boundary["12"] = {"kind": "flux", "value": "-2*cos(x)*exp(y)"}
    return Darcy(
        DarcyConfig.model_validate(
            {"mesh": path, "element": element, "boundary": boundary, "source": 0.0, **more}
        )
    )


@pytest.mark.parametrize(("element", "order"), [("P1", 2), ("P2", 3)])
def test_order_on_a_refined_msh_with_heads_fluxes_and_unnamed_sides(meshes, element, order):
    problem = on_plate(meshes["plate"], element, unknown={"kind": "piecewise", "cells": (1, 1)})
    boundary = problem.boundary()
    exact = boundary.dirichlet["well"]
    boundary.dirichlet[""] = exact
    problem.boundary = lambda: boundary
    errors = []
    for level in (0, 1, 2):
        system, u = problem.state(np.array([2.0]), level)
        errors.append(l2_error(system.space, u, exact))
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, order, atol=0.15)
    assert errors[-1] < {"P1": 2e-4, "P2": 2e-6}[element]


def test_sides_that_the_configuration_does_not_name_hold_zero(meshes):
    problem = on_plate(meshes["plate"])
    fields = problem.solve(np.ones(problem.prior().space.size), level=0)
    x, y, u = (fields[name].values for name in ("x", "y", "u"))
    assert np.all(u[(y == 0) & (x > 0) & (x < 1)] == 0)
    np.testing.assert_allclose(u[x == 0], 0, atol=1e-15)


@pytest.mark.parametrize("element", ["Q1", "Q2"])
def test_quadrilaterals_of_a_msh_reproduce_a_linear_head(meshes, element):
    problem = Darcy(DarcyConfig(mesh=meshes["quads"], element=element, source=0.0))
    boundary = problem.boundary()
    assert list(boundary.dirichlet) == [""]
    boundary.dirichlet[""] = lambda x, y: 1 + x - 2 * y
    problem.boundary = lambda: boundary
    sensors = {"x": np.array([0.1, 1.6]), "y": np.array([0.9, 0.4])}
    m = np.full(problem.prior().space.size, 3.0)
    for level in (0, 1):
        found = problem.forward_model(sensors, level)(m)
        np.testing.assert_allclose(found, [-0.7, 1.8], atol=1e-13)


@pytest.mark.parametrize(
    "unknown",
    [
        {"kind": "log-gaussian", "representation": "spde", "smoothness": 1.0},
        {"kind": "log-gaussian", "grid": (9, 9)},
        {"kind": "piecewise", "cells": (3, 2)},
    ],
    ids=["spde", "kl", "piecewise"],
)
def test_every_unknown_works_on_a_msh_at_every_level(meshes, unknown):
    problem = on_plate(meshes["plate"], unknown=unknown)
    prior = problem.prior()
    m = prior.unwhiten(np.random.default_rng(0).standard_normal(prior.dim))
    sensors = {"x": np.array([0.2, 0.9]), "y": np.array([0.5, 0.1])}
    coarse, fine = (problem.forward_model(sensors, level)(m) for level in (0, 2))
    np.testing.assert_allclose(coarse, fine, rtol=0.1)
    assert problem.solve(m, level=1)["kappa"].values.min() >= m.min() * (1 - 1e-12)


def test_the_spde_unknown_lives_on_the_nodes_of_the_file(meshes):
    unknown = {"kind": "log-gaussian", "representation": "spde", "smoothness": 1.0}
    problem = on_plate(meshes["plate"], unknown=unknown)
    variable = problem.prior().space.variables[0]
    assert variable.dims == ("vertex",)
    assert variable.size == len(read_msh(meshes["plate"]).points)


def test_a_sensor_in_the_hole_is_outside_the_domain(meshes):
    problem = on_plate(meshes["plate"])
    inside = {"x": np.array([0.1, 0.55]), "y": np.array([0.1, 0.45])}
    with pytest.raises(
        DataSchemaError, match=r"sensor 1 at \(x, y\) = \(0.55, 0.45\) lies outside"
    ):
        problem.forward_model(inside)


def test_no_coarser_mesh_than_the_file(meshes):
    with pytest.raises(ConfigError, match=r"level -1: .*plate\.msh is the coarsest mesh there is"):
        on_plate(meshes["plate"]).dofs(-1)


def test_a_side_that_is_no_physical_curve_is_named_with_those_there_are(meshes):
    config = DarcyConfig.model_validate(
        {"mesh": meshes["plate"], "boundary": {"outflow": {"kind": "flux"}}}
    )
    with pytest.raises(
        ConfigError, match=r"'outflow' is no physical curve .* it has 12, inflow, well"
    ):
        Darcy(config).prior()


def test_the_element_must_fit_the_cells(meshes):
    with pytest.raises(ConfigError, match="element Q1 needs cells of shape quadrilateral"):
        on_plate(meshes["plate"], "Q1").system()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("second order", "straight triangles only"),
        ("raised", "not plane"),
        ("points", "no triangles or quadrilaterals"),
    ],
)
def test_an_unfit_mesh_is_refused_with_the_reason(meshes, kind, message):
    with pytest.raises(DataSchemaError, match=message):
        read_msh(meshes[kind])


@pytest.mark.parametrize("content", [b"", b"not a mesh\n", b"\x00\xff" * 100])
def test_a_file_that_is_no_mesh_is_refused(tmp_path, content):
    path = tmp_path / "bad.msh"
    path.write_bytes(content)
    with pytest.raises(DataSchemaError, match=r"bad\.msh"):
        read_msh(path)


def test_a_script_in_the_guise_of_a_mesh_is_not_run(tmp_path):
    path, trace = tmp_path / "script.msh", tmp_path / "trace"
    path.write_text(f'SystemCall "touch {trace}";\n')
    with pytest.raises(DataSchemaError, match="does not begin as a Gmsh mesh"):
        read_msh(path)
    assert not trace.exists()


def test_a_truncated_mesh_is_refused(meshes, tmp_path):
    whole = meshes["plate"].read_bytes()
    for share in (0.3, 0.6, 0.9):
        path = tmp_path / "cut.msh"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataSchemaError, match=r"cut\.msh"):
            read_msh(path)


def test_a_missing_or_misnamed_mesh_is_refused(tmp_path):
    with pytest.raises(DataSchemaError, match="no such mesh file"):
        read_msh(tmp_path / "none.msh")
    (tmp_path / "mesh.txt").write_text("x")
    with pytest.raises(DataSchemaError, match=r"is not a \.msh file"):
        read_msh(tmp_path / "mesh.txt")
