"""Which nodes of a field belong to the body, and what results keep of it."""

import numpy as np
import pytest

from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.hooks import fixtures
from pdeinv.plugins.mask import masks
from pdeinv.plugins.recipe import make_problem

FIELD = {"kind": "log-gaussian", "grid": [21, 21], "modes": 3}


def eit(**settings):
    return make_problem("eit", {"cells": 4, "unknown": FIELD, **settings})


def test_a_disc_is_told_from_its_bounding_box():
    problem = eit()
    inside = masks(problem, problem.prior().space)["conductivity_inside"]
    x, y = np.meshgrid(inside["x"], inside["y"])
    r, half = np.hypot(x, y), 0.05 * np.sqrt(2)
    assert inside.dims == ("y", "x")
    assert (inside.values[r <= 1] == 1).all()
    assert (inside.values[r >= 1 + half] == 0).all()
    assert set(np.unique(inside)) == {0, 1}
    assert inside.attrs["units"] == "1"
    assert inside.attrs["flag_meanings"] == "outside inside"


def test_a_coarse_cell_belongs_to_the_body_where_any_of_it_does():
    problem = eit(unknown={"kind": "piecewise", "cells": [4, 4]})
    middle = 0.75 * np.ones((1, 2))
    assert not problem.mask(middle).any()
    assert masks(problem, problem.prior().space).data_vars == {}
    finer = eit(unknown={"kind": "piecewise", "cells": [8, 8]})
    inside = masks(finer, finer.prior().space)["conductivity_inside"]
    assert [int(inside[k, k]) for k in range(8)] == [0, 1, 1, 1, 1, 1, 1, 0]


def test_the_axes_are_those_of_the_variable():
    problem = eit(domain={"kind": "ellipse", "axes": [2.0, 1.0]})
    axes = {"x": np.linspace(-2, 2, 9), "y": np.linspace(-1, 1, 5)}
    coords = {a: ((a,), nodes) for a, nodes in axes.items()}
    plain = Variable("k", ("y", "x"), (5, 9), coords=coords)
    turned = Variable("k", ("time", "x", "y"), (2, 9, 5), coords=coords)
    a, b = (masks(problem, Space((v,)))["k_inside"] for v in (plain, turned))
    assert (a.dims, b.dims) == (("y", "x"), ("x", "y"))
    np.testing.assert_array_equal(a, b.transpose("y", "x"))


def test_a_solid_is_as_high_as_it_is():
    problem = eit(
        domain={"kind": "disc", "depth": 1.0},
        electrodes={"count": 4},
        unknown={"kind": "log-gaussian", "grid": [9, 9, 5], "modes": 2},
    )
    inside = masks(problem, problem.prior().space)["conductivity_inside"]
    assert inside.dims == ("z", "y", "x")
    corner, middle = inside[:, 0, 0], inside[:, 4, 4]
    assert (corner == 0).all()
    assert (middle == 1).all()


@pytest.mark.parametrize(
    "problem",
    [
        lambda: make_problem("darcy", {}),
        lambda: eit(domain={"kind": "rectangle"}),
        lambda: eit(unknown={"kind": "ellipses"}),
        lambda: eit(unknown={"kind": "elements"}),
    ],
    ids=["no hook", "a rectangle", "numbers", "on the mesh"],
)
def test_where_nothing_is_outside_nothing_is_said(problem):
    problem = problem()
    assert masks(problem, problem.prior().space).data_vars == {}


def test_results_keep_electrodes_and_the_closed_outline():
    found = fixtures(eit(domain={"kind": "disc", "radius": 0.2}, electrodes={"count": 8}))
    assert found.sizes["electrode"] == 8
    for name in ("electrode", "outline"):
        r = np.hypot(found[f"{name}_x"], found[f"{name}_y"])
        np.testing.assert_allclose(r, 0.2, rtol=1e-6)
    for axis in "xy":
        assert found[f"outline_{axis}"][0] == found[f"outline_{axis}"][-1]
    assert all({"units", "long_name"} <= set(v.attrs) for v in found.variables.values())


def test_a_rectangle_keeps_its_corners_and_boundary_maps_have_no_electrodes():
    found = fixtures(eit(model="continuum", domain={"kind": "rectangle"}, modes=2))
    assert "electrode_x" not in found
    corners = np.abs(np.stack([found["outline_x"], found["outline_y"]])).T
    assert (corners == corners.max(axis=0)).all(axis=1).sum() == 4
    assert fixtures(make_problem("darcy", {})).data_vars == {}
