"""Bodies with holes and notches: outlines, masks, sensors, and scores across meshes of one body."""

import holed
import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.mesh import rectangle
from pdeinv.fem.plane_msh import read_msh
from pdeinv.io import netcdf
from pdeinv.io.body import mesh_of, outline_variables
from pdeinv.jobs.observe import make_truth
from pdeinv.jobs.score import score
from pdeinv.plugins.hooks import fixtures
from pdeinv.plugins.mask import masks
from pdeinv.plugins.recipe import make_problem

FIELD = {"kind": "log-gaussian", "grid": [21, 21], "modes": 3}
PRIORS = {
    "darcy": lambda prior: prior,
    "heat": lambda prior: {"kind": "conductivity", "prior": prior},
}


@pytest.fixture(scope="module", name="meshes")
def _meshes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    return {
        "coarse": holed.plate(folder / "coarse.msh"),
        "fine": holed.plate(folder / "fine.msh", 0.07),
        "whole": holed.plate(folder / "whole.msh", hole=False),
    }


def problem_on(mesh, name="darcy", prior=None):
    tables = {"mesh": str(mesh), "unknown": PRIORS[name](prior or FIELD)}
    return make_problem(name, tables)


def shoelace(curve):
    x, y = curve.T
    return 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])


def test_an_outline_is_closed_curves_with_the_body_on_their_left(meshes):
    curves = read_msh(meshes["coarse"]).outline()
    (gap,) = np.flatnonzero(np.isnan(curves[:, 0]))
    areas = sorted(shoelace(c) for c in (curves[:gap], curves[gap + 1 :]))
    assert areas[0] == pytest.approx(-np.pi * holed.RADIUS**2, rel=0.1)
    assert sum(areas) == pytest.approx(holed.AREA, rel=0.01)
    for curve in (curves[:gap], curves[gap + 1 :]):
        np.testing.assert_array_equal(curve[0], curve[-1])


def test_curves_that_touch_in_a_node_are_kept_apart_or_joined_but_never_lost():
    square = rectangle((2.0, 2.0), (2, 2), "quadrilateral")
    pinched = type(square)(square.points, square.cells[[0, 3]], square.edges, square.tags, {})
    curves = pinched.outline()
    assert sum(shoelace(c) for c in np.split(curves, np.flatnonzero(np.isnan(curves[:, 0])))
               for c in [c[~np.isnan(c[:, 0])]]) == pytest.approx(2.0)  # fmt: skip


@pytest.mark.parametrize("name", PRIORS)
def test_a_field_is_masked_in_holes_and_notches(name, meshes):
    problem = problem_on(meshes["coarse"], name)
    variable = problem.prior().space.variables[0]
    inside = masks(problem, problem.prior().space)[f"{variable.name}_inside"]
    x, y = np.meshgrid(inside["x"], inside["y"])
    assert (inside.values[holed.within(x, y)] == 1).all()
    middle = np.abs(x - holed.CENTRE[0]) + np.abs(y - holed.CENTRE[1]) < 0.06
    assert middle.any()
    assert (inside.values[middle | (x > 0.66) & (y < 0.39)] == 0).all()
    assert np.isnan(fixtures(problem)["outline_x"]).sum() == 1


@pytest.mark.parametrize("name", PRIORS)
def test_a_grid_of_sensors_leaves_out_what_is_no_body(name, meshes):
    problem = problem_on(meshes["coarse"], name)
    found = problem.sensors("grid:8")
    places = {(x, y) for x, y in zip(found["x"].round(6), found["y"].round(6), strict=True)}
    steps = np.round(np.arange(1, 9) / 9, 6)
    assert places == {(x, y) for x in steps for y in steps if holed.within(x, y)}
    model = problem.forward_model(found)
    assert np.isfinite(model(problem.prior().unwhiten(np.zeros(problem.prior().dim)))).all()


def test_a_grid_without_a_point_in_the_body_is_refused(meshes):
    problem = problem_on(meshes["coarse"])
    problem.mask = lambda points: np.zeros(len(points), dtype=bool)
    with pytest.raises(ConfigError, match="'grid:1': no point of it lies in the domain"):
        problem.sensors("grid:1")


def test_an_unknown_on_a_mesh_keeps_that_mesh(meshes):
    prior = {**FIELD, "representation": "spde", "smoothness": 1.0}
    problem = problem_on(meshes["coarse"], prior=prior)
    mesh = mesh_of(fixtures(problem))
    variable = problem.prior().space.variables[0]
    np.testing.assert_array_equal(mesh.points, variable.places)
    assert not mesh.holds(np.array([holed.CENTRE, (0.9, 0.1)])).any()
    assert mesh_of(fixtures(problem_on(meshes["coarse"]))) is None
    assert outline_variables(None, "m").variables == {}


def truth(path, problem, m=None):
    prior = problem.prior()
    m = prior.unwhiten(np.ones(prior.dim)) if m is None else m
    netcdf.write(path, make_truth(problem, m, seed=1, level=0))
    return path


@pytest.mark.parametrize("name", PRIORS)
def test_two_meshes_of_one_body_are_compared_inside_it(name, meshes, tmp_path):
    cells = {"kind": "piecewise", "cells": [2, 2]}
    ones, other = np.ones(4), np.array([1.0, 1.0, 2.0, 1.0])
    a = truth(tmp_path / "a.nc", problem_on(meshes["coarse"], name, cells), ones)
    b = truth(tmp_path / "b.nc", problem_on(meshes["fine"], name, cells), other)
    assert score(a, a) == {"rel-l2": 0.0}
    corner = 0.25 - quarter_of_hole()
    found = score(b, a, ["rel-l1"], nodes=200)["rel-l1"]
    assert found == pytest.approx(corner / holed.AREA, rel=0.03)


def test_unknowns_on_two_meshes_of_one_body_are_compared(meshes, tmp_path):
    prior = {**FIELD, "representation": "spde", "smoothness": 1.0}
    files = []
    for name in ("coarse", "fine"):
        problem = problem_on(meshes[name], prior=prior)
        x, y = problem.prior().space.variables[0].places.T
        files.append(truth(tmp_path / f"{name}.nc", problem, 1 + x + 2 * y))
    assert score(files[1], files[0], nodes=60)["rel-l2"] < 1e-12


def quarter_of_hole():
    """The part of the hole with x < 0.5 and y > 0.5, by counting."""
    x, y = np.meshgrid(np.linspace(0, 0.5, 800), np.linspace(0.5, 1, 800))
    return 0.25 * np.mean(~holed.within(x, y))


def test_a_body_without_the_hole_is_another_one(meshes, tmp_path):
    a, b = (truth(tmp_path / f"{k}.nc", problem_on(meshes[k])) for k in ("coarse", "whole"))
    with pytest.raises(DataSchemaError, match="belong to different domains"):
        score(b, a)


def test_discs_of_coarse_and_fine_chords_are_one_body(tmp_path):
    unknown = {"kind": "log-gaussian", "grid": [17, 17], "modes": 3, "length": 0.5}
    files = []
    for k, size in enumerate((0.5, 0.2)):
        mesh = holed.disc(tmp_path / f"{k}.msh", size)
        problem = make_problem("darcy", {"mesh": str(mesh), "unknown": {**unknown, "mean": 0.5}})
        spread = np.ptp(problem.grid((5, 5))["x"])
        m = 2 + problem.prior().space.variables[0].places[:, 0]  # the same field on either box
        files.append((truth(tmp_path / f"{k}.nc", problem, m), spread))
    (a, wide), (b, wider) = files
    assert abs(wide - wider) > 1e-5
    assert score(b, a)["rel-l2"] < 1e-12
