"""Darcy's configuration, sensors, fields and errors."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.config import dump_toml, parse, parse_toml
from pdeinv.errors import ConfigError, DataSchemaError, ShapeError, SolverDiverged
from pdeinv.problems.darcy import Darcy, DarcyConfig


def config(**settings):
    return parse(DarcyConfig, settings, "problem")


def darcy(**settings):
    return Darcy(config(**settings))


@pytest.fixture(scope="module")
def default():
    return Darcy()


def draw(problem, seed=0):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def places(*pairs):
    x, y = np.array(pairs, dtype=float).T
    return {"x": x, "y": y}


def test_the_default_suits_every_engine(default):
    assert default.prior().dim == 16
    assert default.prior().space.names == ("conductivity",)
    assert default.observed.name == "u"
    assert [default.dofs(level) for level in (-1, 0, 1)] == [17**2, 33**2, 65**2]


def test_a_configuration_survives_toml():
    given = config(
        cells=(8, 4),
        element="P2",
        lengths=(2.0, 1.0),
        boundary={"top": {"kind": "flux", "value": "x*(2 - x)"}},
        source={"file": "f.nc", "variable": "rain"},
        unknown={"kind": "log-gaussian", "smoothness": float("inf")},
    )
    text = dump_toml(given.model_dump(mode="json"))
    assert parse(DarcyConfig, parse_toml(text, "text"), "problem") == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cels": 3}, "unknown key 'problem.cels'; did you mean 'cells'"),
        ({"cells": 0}, "problem.cells: must be at least 1"),
        ({"lengths": (1.0, -1.0)}, "problem.lengths: must be positive and finite"),
        ({"element": "P3"}, "problem.element: input should be 'P1', 'P2', 'Q1' or 'Q2'"),
        ({"source": "1 + z"}, "'z' is not understood"),
        ({"source": float("nan")}, "problem.source.*must be finite"),
        ({"boundary": {"top": {"kind": "dirichlet", "value": "x +"}}}, "cannot be read"),
        ({"boundary": {"north": {"kind": "flux"}}}, "'north' does not exist; this domain has left"),
        ({"unknown": {"kind": "gaussian"}}, "problem.unknown"),
        ({"unknown": {"kind": "two-phase", "low": 0.0}}, "must be positive everywhere"),
        ({"unknown": {"kind": "level-set", "values": (-1, 2, 3)}}, "must be positive everywhere"),
        ({"unknown": {"kind": "uniform"}}, "must be positive everywhere"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config(**settings)
    assert "\n" not in str(caught.value)


def test_fluxes_all_around_leave_the_head_undetermined():
    walls = {side: {"kind": "flux"} for side in ("left", "right", "bottom", "top")}
    with pytest.raises(ConfigError, match="no boundary side holds a Dirichlet condition"):
        darcy(boundary=walls).system()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "1/(x - x)"}, "the source is not finite at"),
        (
            {"boundary": {"left": {"kind": "dirichlet", "value": "log(x)"}}},
            "Dirichlet value is",
        ),
        ({"boundary": {"left": {"kind": "flux", "value": "log(x)"}}}, "flux on side 'left' is not"),
    ],
)
def test_a_formula_that_is_not_finite_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        darcy(cells=4, **settings).system()


def test_a_formula_need_be_finite_on_its_side_only():
    problem = darcy(cells=4, boundary={"right": {"kind": "flux", "value": "log(x)"}})
    assert np.isfinite(problem.solve(draw(problem), level=0)["u"]).all()


@pytest.mark.parametrize("level", [-3, -6])
def test_cells_that_cannot_be_halved_are_an_error(level):
    with pytest.raises(ConfigError, match=f"level {level}: 12 x 12 cells cannot be coarsened"):
        darcy(cells=12).dofs(level)


@pytest.mark.parametrize(
    ("bad", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0"), (-2.0, "-2")]
)
def test_a_conductivity_that_is_not_positive_and_finite_fails_the_solve(bad, shown, default):
    model = default.forward_model(places((0.5, 0.5)))
    m = draw(default)
    good = model(m)
    spoilt = m.copy()
    spoilt[5] = bad
    for call in (model, model.linearize, default.solve):
        with pytest.raises(SolverDiverged, match=f"value 5 of m is {shown}$"):
            call(spoilt)
    np.testing.assert_array_equal(model(m), good)


def test_an_array_of_the_wrong_length_is_an_error(default):
    with pytest.raises(ShapeError, match="expected last axis 1089"):
        default.forward_model(places((0.5, 0.5)))(np.ones(3))


def test_grid_sensors_are_inside_and_run_along_x_first(default):
    found = default.sensors("grid:3x1")
    np.testing.assert_allclose(found["x"], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(found["y"], [0.5, 0.5, 0.5])


@pytest.mark.parametrize(("element", "n"), [("P1", 7 * 8), ("P2", 15 * 16), ("Q2", 15 * 16)])
def test_all_means_every_node_whose_head_is_unknown(element, n):
    problem = darcy(cells=8, element=element, boundary={"top": {"kind": "flux"}})
    found = problem.sensors("all")
    assert len(found["x"]) == n
    assert found["y"].max() == 1.0
    assert found["y"].min() > 0.0
    u = problem.solve(draw(problem), level=0)
    model = problem.forward_model(found)
    nodes = {(x, y): v for x, y, v in zip(u.x.values, u.y.values, u.u.values, strict=True)}
    expected = [nodes[x, y] for x, y in zip(found["x"], found["y"], strict=True)]
    np.testing.assert_allclose(model(draw(problem)), expected, rtol=1e-12)


def test_sensors_from_a_list_and_from_a_csv_file_agree(default, tmp_path):
    path = tmp_path / "wells.csv"
    path.write_text("x,y\n0.1,0.2\n0.3, 0.4\n")
    for name in ("x", "y"):
        expected = default.sensors("list:0.1,0.2;0.3,0.4")[name]
        np.testing.assert_array_equal(default.sensors(str(path))[name], expected)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grid:0x3", "expected grid:KxL"),
        ("grid:13x13x13", "expected grid:KxL"),
        ("list:", "expected rows of finite numbers x,y"),
        ("list:0.1,0.2;0.3", "expected rows of finite numbers x,y"),
        ("list:0.1,nan", "expected rows of finite numbers x,y"),
        ("wells.txt", "not understood, and no such file; expected grid:KxL, all, list"),
        ("list:0.5,0.5;1.5,0.5", r"sensor 1 at \(x, y\) = \(1.5, 0.5\) lies outside the domain"),
    ],
)
def test_sensors_that_are_not_understood_are_an_error(default, spec, message):
    with pytest.raises(ConfigError, match=message):
        default.sensors(spec)


def test_a_csv_without_header_is_an_error(default, tmp_path):
    path = tmp_path / "wells.csv"
    path.write_text("0.1,0.2\n")
    with pytest.raises(ConfigError, match="expected a CSV file with header x,y"):
        default.sensors(str(path))


def test_a_model_refuses_sensors_outside_the_domain_by_index_and_place(default):
    with pytest.raises(DataSchemaError, match=r"sensor 1 at \(x, y\) = \(0.5, -0.1\) lies outside"):
        default.forward_model(places((0.5, 0.5), (0.5, -0.1)))


def test_sensors_on_the_boundary_and_at_nodes_are_inside():
    problem = darcy(cells=7, lengths=(0.3, 1.7), element="P2")
    nodes = problem.solve(draw(problem), level=1)
    found = problem.observe(nodes, {"x": nodes.x.values, "y": nodes.y.values})
    np.testing.assert_allclose(found, nodes["u"], atol=1e-13)


def test_observing_a_solution_is_the_forward_model_of_its_level():
    for element in ("P1", "P2", "Q1", "Q2"):
        problem = darcy(cells=6, element=element)
        m, sensors = draw(problem), problem.sensors("grid:5x3")
        found = problem.observe(problem.solve(m, level=1), sensors)
        expected = problem.forward_model(sensors, level=1)(m)
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_fields_survive_a_file_and_are_observed_by_their_own_configuration(tmp_path):
    problem = darcy(cells=6, element="Q2", lengths=(2.0, 1.0))
    sensors = problem.sensors("grid:4x4")
    fields = problem.solve(draw(problem), level=1)
    fields.to_netcdf(tmp_path / "truth.nc")
    back = xr.load_dataset(tmp_path / "truth.nc")
    other = darcy(cells=32)
    np.testing.assert_array_equal(other.observe(back, sensors), problem.observe(fields, sensors))


def test_fields_carry_units_and_a_mesh_of_all_nodes():
    problem = darcy(cells=(4, 2), element="P2", units={"u": "Pa"})
    fields = problem.solve(draw(problem), level=1)
    assert fields.sizes == {"node": 17 * 9, "face": 2 * 16 * 8, "corner": 3}
    assert fields["u"].attrs["units"] == "Pa"
    assert all("units" in v.attrs and "long_name" in v.attrs for v in fields.variables.values()
               if v.dtype.kind == "f")  # fmt: skip
    assert fields["kappa"].attrs["units"] == "m s-1"
    assert int(fields["face_node_connectivity"].max()) == 17 * 9 - 1


@pytest.mark.parametrize("change", ["problem", "level", "variable", "shape"])
def test_fields_of_something_else_are_refused(default, change):
    fields = default.solve(draw(default), level=0)
    if change == "problem":
        fields.attrs["pdeinv_problem"] = "heat"
    elif change == "level":
        del fields.attrs["pdeinv_level"]
    elif change == "variable":
        fields = fields.drop_vars("u")
    else:
        fields.attrs["pdeinv_level"] = 1
    with pytest.raises(DataSchemaError, match=r"pdeinv solve darcy|solve again"):
        default.observe(fields, places((0.5, 0.5)))


@pytest.mark.parametrize(
    "unknown",
    [
        {"kind": "log-gaussian"},
        {"kind": "log-gaussian", "representation": "spde", "smoothness": 1.0},
        {"kind": "piecewise", "cells": (3, 2)},
        {"kind": "two-phase"},
        {"kind": "level-set"},
        {"kind": "uniform", "low": 1.0, "high": 2.0},
    ],
    ids=lambda u: u["kind"],
)
def test_the_grid_operator_gives_the_conductivity_of_the_solve(unknown):
    problem = darcy(cells=(8, 4), lengths=(2.0, 1.0), unknown=unknown)
    m = draw(problem)
    fields = problem.solve(m, level=0)
    on_grid = problem.grid_operator((5, 9)) @ m
    np.testing.assert_allclose(on_grid, fields["kappa"], rtol=1e-12)
    nodes = problem.grid((5, 9))
    np.testing.assert_allclose(nodes["x"], fields["x"], atol=1e-14)
    np.testing.assert_allclose(nodes["y"], fields["y"], atol=1e-14)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 2, 2)])
def test_a_grid_needs_two_numbers(default, shape):
    with pytest.raises(ConfigError, match="grid shape: expected 2 numbers"):
        default.grid(shape)


def test_the_unknown_does_not_change_with_the_level(default):
    m, sensors = draw(default), default.sensors("grid:3x3")
    values = [default.forward_model(sensors, level)(m) for level in (-1, 0, 1, 2)]
    gaps = [np.abs(a - values[-1]).max() for a in values[:-1]]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2] > 0


def write_source(path, low=0.0, high=1.0):
    x, y = np.linspace(low, high, 5), np.linspace(low, high, 9)
    values = 1 + x[None, :] + 2 * y[:, None]
    xr.Dataset({"f": (("y", "x"), values)}, {"x": x, "y": y}).to_netcdf(path)


def test_a_source_from_a_file_equals_its_formula(tmp_path):
    write_source(tmp_path / "f.nc")
    from_file = darcy(cells=8, source={"file": tmp_path / "f.nc"})
    from_formula = darcy(cells=8, source="1 + x + 2*y")
    m = draw(from_file)
    expected = from_formula.solve(m, level=0)["u"]
    np.testing.assert_allclose(from_file.solve(m, level=0)["u"], expected, atol=1e-14)


def test_a_source_file_that_does_not_serve_is_an_error(tmp_path):
    with pytest.raises(DataSchemaError, match="no such file"):
        darcy(cells=4, source={"file": tmp_path / "none.nc"}).system()
    write_source(tmp_path / "f.nc", 0.0, 0.5)
    with pytest.raises(DataSchemaError, match="less than the domain; extend the field"):
        darcy(cells=4, source={"file": tmp_path / "f.nc"}).system()
    with pytest.raises(DataSchemaError, match=r"expected variable 'g' on dimensions \(y, x\)"):
        darcy(cells=4, source={"file": tmp_path / "f.nc", "variable": "g"}).system()
    bare = xr.Dataset({"f": (("y", "x"), np.ones((3, 3)))})
    bare.to_netcdf(tmp_path / "bare.nc")
    with pytest.raises(DataSchemaError, match="coordinates x"):
        darcy(cells=4, source={"file": tmp_path / "bare.nc"}).system()


def rain(x=5, y=9, units="s-1"):
    x, y = (np.linspace(0, 1, n) if isinstance(n, int) else np.array(n) for n in (x, y))
    table = {"f": (("y", "x"), np.outer(y + 1, x - 2), {"units": units})}
    return xr.Dataset(table, {"x": x, "y": y})


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.transpose("x", "y"),
        lambda f: f.isel(y=slice(None, None, -1)),
        lambda f: f.isel(x=slice(None, None, -1), y=slice(None, None, -1)),
    ],
)
def test_a_source_file_is_the_same_in_any_order(change, tmp_path):
    rain().to_netcdf(tmp_path / "f.nc")
    change(rain()).to_netcdf(tmp_path / "g.nc")
    m = draw(darcy(cells=4))
    files = (tmp_path / "f.nc", tmp_path / "g.nc")
    found = [darcy(cells=4, source={"file": file}).solve(m, 0)["u"] for file in files]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (rain(x=[0.0, 0.5, 1.0, 1.0]), "coordinate 'x' repeats 1; expected at least two numbers"),
        (rain(y=[0.0]), "coordinate 'y' has one value"),
        (rain(x=[0.0, np.nan, 1.0]), "coordinate 'x' is not finite"),
        (rain().where(lambda f: f.x > 0), "'f' has values that are missing or not finite"),
        (rain(units="mm d-1"), "'f' has units 'mm d-1', the problem works in 's-1'; convert"),
        (
            rain(3).assign_coords(x=("x", [0.0, 0.5, 1.0], {"units": "km"})),
            "'x' has units 'km', the problem works in 'm'",
        ),
    ],
)  # fmt: skip
def test_a_source_file_that_may_be_misread_is_refused_in_one_line(dataset, message, tmp_path):
    dataset.to_netcdf(tmp_path / "f.nc")
    with pytest.raises(DataSchemaError, match=r"f\.nc: " + message):
        darcy(cells=4, source={"file": tmp_path / "f.nc"}).system()


def test_priors_sensors_and_operators_need_no_dolfinx():
    import subprocess
    import sys

    code = (
        "import sys; from pdeinv.problems.darcy import Darcy; p = Darcy(); p.prior(); "
        "p.sensors('all'); p.grid_operator((9, 9)); p.dofs(1); "
        "bad = {'dolfinx', 'petsc4py', 'mpi4py', 'torch', 'gmsh'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
