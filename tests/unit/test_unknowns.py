"""An unknown out of a file is told by its coordinates and units, whatever the order of its axes."""

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.bayes.prior import Prior
from pdeinv.errors import DataSchemaError, PdeinvError, ShapeError
from pdeinv.io.unknowns import unknown_in
from pdeinv.jobs.observe import choose_unknown, make_truth
from pdeinv.plugins.recipe import make_problem

DARCY = {
    "lengths": [2.0, 1.0],
    "cells": 4,
    "unknown": {"kind": "log-gaussian", "length": 0.5, "modes": 6, "grid": [9, 5]},
}


@pytest.fixture(scope="module", name="darcy")
def _darcy():
    return make_problem("darcy", DARCY)


@pytest.fixture(scope="module", name="m")
def _m(darcy):
    return darcy.prior().unwhiten(np.array([1.0, -1.0, 0.5, 0.3, -0.7, 0.2]))


@pytest.fixture(name="field")
def _field(darcy, m):
    return darcy.prior().space.unpack(m)


def turned(field, **slices):
    return field.isel({d: slice(None, None, -1) for d in slices})


ALIKE = {
    "as it is": lambda f: f,
    "x first": lambda f: f.transpose("x", "y"),
    "north up": lambda f: turned(f, y=1),
    "descending x": lambda f: turned(f, x=1),
    "both, x first": lambda f: turned(f, x=1, y=1).transpose("x", "y"),
    "shuffled": lambda f: f.isel(x=np.random.default_rng(1).permutation(9)),
    "32-bit coordinates": lambda f: f.assign_coords(x=f.x.astype("f4"), y=f.y.astype("f4")),
    "places without units": lambda f: f.assign_coords(x=f.x.drop_attrs(), y=f.y.drop_attrs()),
    "further variables": lambda f: f.assign(head=("well", np.ones(3))),
}

REFUSED = {
    "elsewhere": (
        lambda f: f.assign_coords(x=f.x + 100),
        DataSchemaError,
        r"'x' of variable 'conductivity' runs from 100 to 102, expected the grid from 0 to 2",
    ),
    "stretched": (lambda f: f.assign_coords(x=2 * (f.x / 2) ** 2), DataSchemaError, "another grid"),
    "other units": (
        lambda f: f.assign(conductivity=f.conductivity.assign_attrs(units="m d-1")),
        DataSchemaError,
        "'conductivity' has units 'm d-1', the problem works in 'm s-1'; convert it",
    ),
    "no units": (
        lambda f: f.assign(conductivity=f.conductivity.drop_attrs()),
        DataSchemaError,
        "'conductivity' has no units attribute; expected 'm s-1'",
    ),
    "places in km": (
        lambda f: f.assign_coords(x=f.x.assign_attrs(units="km")),
        DataSchemaError,
        "coordinate 'x' of variable 'conductivity' has units 'km', the problem works in 'm'",
    ),
    "no coordinates": (
        lambda f: f.drop_vars("y"),
        DataSchemaError,
        "coordinate 'y' of variable 'conductivity' is missing, so that the order along 'y'",
    ),
    "other dimensions": (
        lambda f: f.drop_vars(["x", "y"]).rename(x="lon", y="lat"),
        DataSchemaError,
        r"has the dimensions \(lat, lon\), expected \(y, x\); rename them",
    ),
    "finer": (
        lambda f: f.interp(x=np.linspace(0, 2, 17)),
        ShapeError,
        "expected 9 entries along 'x', got 17; interpolate it to the grid of the unknown",
    ),
    "another name": (
        lambda f: f.rename(conductivity="k"),
        ShapeError,
        r"'conductivity' is missing; found \['k'\]",
    ),
    "text for places": (
        lambda f: f.assign_coords(x=list("abcdefghi")),
        DataSchemaError,
        "must be numbers along 'x'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_the_order_of_rows_and_columns_does_not_matter(name, darcy, m, field, tmp_path):
    ALIKE[name](field).to_netcdf(tmp_path / "m.nc")
    found = choose_unknown(darcy.prior(), str(tmp_path / "m.nc"), 1)
    np.testing.assert_array_equal(found, m)


@pytest.mark.parametrize("name", REFUSED)
def test_an_unknown_of_another_grid_or_unit_is_refused_in_one_line(name, darcy, field, tmp_path):
    change, kind, message = REFUSED[name]
    change(field).to_netcdf(tmp_path / "m.nc")
    with pytest.raises(kind, match=r"m\.nc: .*" + message) as caught:
        choose_unknown(darcy.prior(), str(tmp_path / "m.nc"), 1)
    assert isinstance(caught.value, PdeinvError)
    assert "\n" not in str(caught.value)


def test_a_truth_of_another_domain_is_refused(darcy, m, tmp_path):
    make_truth(darcy, m, seed=1, level=0).to_netcdf(tmp_path / "truth.nc")
    prior = make_problem("darcy", {**DARCY, "lengths": [1.0, 2.0]}).prior()
    with pytest.raises(DataSchemaError, match=r"truth\.nc: coordinate '[xy]' .* runs from 0 to"):
        choose_unknown(prior, str(tmp_path / "truth.nc"), 1)
    np.testing.assert_array_equal(choose_unknown(darcy.prior(), str(tmp_path / "truth.nc"), 1), m)


@pytest.mark.parametrize(
    ("problem", "config"),
    [
        ("darcy", {"unknown": {"kind": "piecewise", "cells": [2, 3]}}),
        ("heat", {"unknown": {"kind": "initial-state"}}),
        ("heat", {"unknown": {"kind": "flux", "side": "left"}}),
        ("heat", {"lengths": [1.0]}),
        ("helmholtz", {"unknown": {"kind": "inclusions"}}),
        ("eit", {}),
    ],
)
def test_every_unknown_comes_back_from_its_own_file(problem, config, tmp_path):
    prior: Prior = make_problem(problem, config).prior()
    m = prior.unwhiten(np.random.default_rng(3).standard_normal(prior.dim))
    prior.space.unpack(m).to_netcdf(tmp_path / "m.nc")
    np.testing.assert_array_equal(choose_unknown(prior, str(tmp_path / "m.nc"), 1), m)


def test_leading_dimensions_are_kept(darcy, m):
    space = darcy.prior().space
    rows = space.unpack(np.stack([m, 2 * m]), ("sample",))
    np.testing.assert_array_equal(unknown_in(turned(rows, y=1), space), np.stack([m, 2 * m]))
    assert unknown_in(xr.Dataset({"conductivity": rows.conductivity.drop_vars("y")}), space,
                      bare=True).shape == (2, len(m))  # fmt: skip


def test_variables_of_xarray_are_put_in_order_in_python_too(darcy, m, field):
    expected = pdeinv.solve(darcy, m=m, level=0, seed=1)["unknown"].conductivity.values
    north_up = turned(field, y=1)
    bare = north_up.conductivity.drop_attrs()
    for given in (north_up, bare, xr.DataTree(north_up)):
        found = pdeinv.solve(darcy, m=given, level=0, seed=1)
        np.testing.assert_array_equal(found["unknown"].conductivity.values, expected)
    with pytest.raises(DataSchemaError, match="of another grid: interpolate it"):
        pdeinv.solve(darcy, m=field.assign_coords(x=field.x + 1), level=0)
