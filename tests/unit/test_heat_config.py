"""Heat's configuration, sensors, fields, time series and the text of its errors."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.noise import Noise
from pdeinv.config import dump_toml, parse, parse_toml
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError, SolverDiverged
from pdeinv.fem.trajectory import segment_length
from pdeinv.io.observations import Observations, read, to_dataset
from pdeinv.model.observed import Observed
from pdeinv.problems.heat import Heat, HeatConfig


def config(**settings):
    return parse(HeatConfig, settings, "problem")


def heat(**settings):
    return Heat(config(**{"cells": 6, **settings}))


def draw(problem, seed=0):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def test_the_default_suits_every_engine():
    problem = Heat()
    assert problem.prior().dim == 16
    assert problem.observed.coords == {"x": "m", "y": "m", "t": "s"}
    assert [problem.dofs(level) for level in (-1, 0, 1)] == [17**2, 33**2, 65**2]


@pytest.mark.parametrize("lengths", [(2.0,), (1.0, 2.0), (1.0, 1.0, 2.0)])
@pytest.mark.parametrize(
    "unknown",
    [
        {"kind": "initial-state"},
        {"kind": "conductivity", "prior": {"kind": "log-gaussian", "mean": -2.0}},
        {"kind": "point-sources", "count": 2, "speed": 0.1},
        {"kind": "flux", "side": "left", "knots": 9},
    ],
    ids=lambda u: u["kind"],
)
def test_a_configuration_survives_toml_in_every_dimension(unknown, lengths):
    given = config(lengths=lengths, unknown=unknown)
    text = dump_toml(given.model_dump(mode="json"))
    assert parse(HeatConfig, parse_toml(text, "text"), "problem") == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cels": 3}, "unknown key 'problem.cels'; did you mean 'cells'"),
        ({"cells": (3, 3, 3)}, "cells: expected 2 numbers"),
        ({"lengths": (1.0, 0.0)}, "must be positive and finite"),
        ({"time": {"scheme": "bdf3"}}, "implicit-euler"),
        ({"time": {"steps": 0}}, "problem.time.steps"),
        ({"source": "1 + z"}, "'z' is not understood; use x, y, t"),
        ({"conductivity": "1 + t"}, "'t' is not understood; use x, y, pi"),
        ({"initial": float("nan")}, "initial: must be finite"),
        ({"boundary": {"north": {"kind": "flux"}}}, "'north' does not exist; this domain has left"),
        ({"unknown": {"kind": "robin", "side": "north"}}, "'north' does not exist"),
        (
            {"unknown": {"kind": "conductivity", "prior": {"kind": "uniform", "low": -1.0}}},
            "conductivity must be positive everywhere",
        ),
        ({"unknown": {"kind": "conductivity", "prior": {"kind": "gaussian"}}}, "problem.unknown"),
        ({"unknown": {"kind": "point-sources", "low": (0.1,)}}, "unknown.low: expected 2 numbers"),
        (
            {"unknown": {"kind": "point-sources", "low": (0.5, 0.5), "high": (0.4, 0.9)}},
            "low must be less than",
        ),
        ({"unknown": {"kind": "source", "profile": "x"}}, "'x' is not understood; use t"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conductivity": "x - 0.5"}, "the conductivity must be positive; at"),
        ({"capacity": -1.0}, "the capacity must be positive"),
        ({"source": "1/(x - x)"}, "the source is not finite at"),
        (
            {"boundary": {"top": {"kind": "robin", "coefficient": -1}}},
            "robin coefficient on side 'top' must not be negative",
        ),
        ({"unknown": {"kind": "flux", "side": "top"}}, "side 'top' holds u; give it kind 'flux'"),
        ({"unknown": {"kind": "robin", "side": "top"}}, "side 'top' is of kind 'dirichlet'"),
        ({"time": {"memory_mb": 1e-4}, "unknown": {"kind": "conductivity"}}, "give at least .* MB"),
    ],
)
def test_what_only_the_mesh_can_tell_is_refused_by_the_model(settings, message):
    problem = heat(**settings)
    sensors, m = problem.sensors("grid:2"), draw(problem)
    with pytest.raises(ConfigError, match=message):
        problem.forward_model(sensors)(m)


@pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (0.0, "0"), (-2.0, "-2")])
def test_a_conductivity_that_is_not_positive_fails_the_solve(bad, shown):
    problem = heat(unknown={"kind": "conductivity"}, initial=1.0)
    model = problem.forward_model(problem.sensors("grid:2"))
    m = draw(problem)
    good, spoilt = model(m), m.copy()
    spoilt[5] = bad
    for call in (model, model.linearize, problem.solve):
        with pytest.raises(SolverDiverged, match=f"value 5 of m is {shown}$"):
            call(spoilt)
    np.testing.assert_array_equal(model(m), good)


@pytest.mark.parametrize(
    ("level", "settings", "message"),
    [(-2, {}, "6 x 6 cells cannot be coarsened"), (-1, {"time": {"steps": 5}}, "5 time steps")],
)
def test_levels_that_do_not_exist_are_an_error(level, settings, message):
    problem = heat(**settings)
    with pytest.raises(ConfigError, match=message):
        problem.forward_model(problem.sensors("grid:2"), level)


def test_sensors_are_every_place_at_every_time():
    found = heat().sensors("grid:2x1@0.2:0.4:3")
    np.testing.assert_allclose(found["x"], np.repeat([1 / 3, 2 / 3], 3))
    np.testing.assert_allclose(found["y"], 0.5)
    np.testing.assert_allclose(found["t"], [0.2, 0.3, 0.4] * 2)
    np.testing.assert_allclose(heat().sensors("list:0.1,0.2")["t"], np.arange(1, 11) / 10)
    assert len(heat(cells=4).sensors("all@1")["t"]) == 9


def test_sensors_from_csv_carry_their_times_or_take_common_ones(tmp_path):
    path = tmp_path / "probes.csv"
    path.write_text("x,y,t\n0.1,0.2,0.3\n0.1, 0.2, 0.7\n")
    np.testing.assert_array_equal(heat().sensors(str(path))["t"], [0.3, 0.7])
    with pytest.raises(ConfigError, match="give the times once"):
        heat().sensors(f"{path}@0.5")
    path.write_text("x,y\n0.1,0.2\n")
    np.testing.assert_array_equal(heat().sensors(f"{path}@0.5")["t"], [0.5])
    path.write_text("0.1,0.2\n")
    with pytest.raises(ConfigError, match="header x,y or x,y,t"):
        heat().sensors(str(path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grid:0x3", "expected grid:KxL such as grid:9x9"),
        ("grid:3x3x3", "expected grid:KxL such as grid:9x9"),
        ("list:0.1", "expected rows of finite numbers x,y"),
        ("grid:3@a:b:c", "times 'a:b:c' not understood"),
        ("nowhere", "not understood, and no such file; expected PLACES"),
        ("list:0.5,1.5", r"sensor 0 at \(x, y\) = \(0.5, 1.5\) lies outside the domain"),
        ("grid:2@0.5,1.2", r"sensor 1 at t = 1.2 lies outside the run \[0, 1\]"),
        ("grid:2@-0.1", "lies outside the run"),
    ],
)
def test_sensors_that_do_not_serve_are_an_error(spec, message):
    with pytest.raises(ConfigError, match=message):
        heat().sensors(spec)


def test_a_model_refuses_time_stamps_outside_the_run_and_places_outside_the_domain():
    places = {"x": np.array([0.5, 0.5]), "y": np.array([0.5, 0.5]), "t": np.array([0.5, 1.01])}
    with pytest.raises(
        DataSchemaError, match=r"sensor 1 at t = 1.01 lies outside the run \[0, 1\]"
    ):
        heat().forward_model(places)
    places |= {"t": np.array([0.5, 1.0]), "y": np.array([0.5, -0.5])}
    with pytest.raises(
        DataSchemaError, match=r"at \(x, y\) = \(0.5, -0.5\) lies outside the domain"
    ):
        heat().forward_model(places)


@pytest.mark.parametrize("lengths", [(1.0,), (1.0, 2.0), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("element", ["P1", "P2", "Q2"])
def test_observing_a_solution_is_the_forward_model_of_its_level(lengths, element, tmp_path):
    problem = heat(lengths=lengths, cells=2, element=element, time={"steps": 5})
    m, sensors = draw(problem), problem.sensors("grid:2@0.05,0.33,1")
    problem.solve(m, level=1).to_netcdf(tmp_path / "truth.nc")
    fields = xr.load_dataset(tmp_path / "truth.nc")
    expected = problem.forward_model(sensors, level=1)(m)
    np.testing.assert_allclose(Heat().observe(fields, sensors), expected, atol=1e-13)


def test_fields_of_something_else_are_refused():
    problem = heat()
    fields = problem.solve(draw(problem), level=0)
    places = problem.sensors("grid:1")
    with pytest.raises(DataSchemaError, match="pdeinv solve heat"):
        problem.observe(fields.assign_attrs(pdeinv_problem="darcy"), places)
    with pytest.raises(DataSchemaError, match="solve again"):
        problem.observe(fields.assign_attrs(pdeinv_level=1), places)


def test_the_grid_operator_gives_the_initial_state_and_refuses_numbers():
    problem = heat(unknown={"kind": "initial-state"}, boundary={"left": {"kind": "flux"}})
    m = draw(problem)
    assert (problem.grid_operator((5, 5)) @ m).shape == (25,)
    assert set(problem.grid((5, 5))["t"]) == {1.0}
    with pytest.raises(CapabilityError, match="no field on the domain"):
        heat(unknown={"kind": "point-sources"}).grid_operator((5, 5))
    with pytest.raises(ConfigError, match="grid shape: expected 2 numbers"):
        problem.grid((5,))


def test_checkpoints_leave_the_fewest_parts_that_fit():
    """All parts but the last are run again."""
    assert segment_length(100, 10, 8 * 10 * 101) == 100
    assert segment_length(100, 10, 8 * 10 * 100) == 50
    assert segment_length(100, 10, 8 * 10 * (2 * 2 + 50 + 1)) == 50
    assert segment_length(100, 10, 8 * 10 * (2 * 2 + 50)) == 34
    assert segment_length(100, 10, 8 * 10 * 30) == 17
    with pytest.raises(ConfigError, match="cannot hold the checkpoints of 100 steps"):
        segment_length(100, 10, 800)


def test_the_memory_estimate_follows_the_bound():
    full = heat(cells=32, unknown={"kind": "conductivity"}, time={"steps": 1000})
    tight = heat(cells=32, unknown={"kind": "conductivity"}, time={"steps": 1000, "memory_mb": 2})
    assert full.memory_estimate() > 8 * 1001 * 33**2 > 2 * tight.memory_estimate()


SERIES = Observed("u", "K", "temperature", {"x": "m", "y": "m", "t": "s"})


def series():
    rng = np.random.default_rng(0)
    x, y = np.repeat([0.1, 0.5, 0.9], 4), np.repeat([0.2, 0.2, 0.7], 4)
    coords = {"x": x, "y": y, "t": np.tile([0.1, 0.2, 0.5, 1.0], 3)}
    return Observations(SERIES, rng.standard_normal(12), coords, Noise(0.1 + rng.random(12)))


def test_time_series_survive_a_file(tmp_path):
    given, path = series(), tmp_path / "obs.nc"
    dataset = to_dataset(given, {})
    assert dict(dataset.sizes) == {"station": 3, "time": 4}
    assert dataset.attrs["featureType"] == "timeSeries"
    assert dataset["station"].attrs["cf_role"] == "timeseries_id"
    dataset.to_netcdf(path)
    back = read(path, SERIES)
    np.testing.assert_array_equal(back.values, given.values)
    np.testing.assert_array_equal(back.noise.std, given.noise.std)
    for name, column in given.coords.items():
        np.testing.assert_array_equal(back.coords[name], column)


def test_missing_and_flagged_entries_of_a_series_are_dropped(tmp_path):
    dataset = to_dataset(series(), {})
    dataset["u"][0, 1] = np.nan
    dataset["u_qc"] = (("time", "station"), np.zeros((4, 3), dtype=np.int8), {"units": "1"})
    dataset["u_qc"][2, 1] = 1
    dataset.to_netcdf(tmp_path / "obs.nc")
    back = read(tmp_path / "obs.nc", SERIES)
    assert (back.size, back.n_dropped) == (10, 2)
    np.testing.assert_array_equal(back.values, np.delete(series().values, [1, 6]))


def test_data_without_the_structure_of_series_stay_points(tmp_path):
    given = series()
    coords = {k: v[:-1] for k, v in given.coords.items()}
    part = Observations(SERIES, given.values[:-1], coords, Noise(given.noise.std[:-1]))
    dataset = to_dataset(part, {})
    assert dataset.attrs["featureType"] == "point"
    dataset.to_netcdf(tmp_path / "obs.nc")
    np.testing.assert_array_equal(read(tmp_path / "obs.nc", SERIES).coords["t"], coords["t"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.drop_vars("time"), "needs the times in variable 'time'"),
        (lambda d: d.drop_vars("u"), "variable 'u' is missing"),
        (lambda d: d.drop_vars("x"), "variable 'x' is missing"),
        (lambda d: d.isel(station=0), r"must have the dimensions \(station, time\)"),
        (lambda d: d.assign_coords(time=d["time"].assign_attrs(units="h")), "'time' has units 'h'"),
    ],
    ids=["no time", "no data", "no place", "one station", "other units"],
)
def test_malformed_series_are_refused_in_one_line(spoil, message, tmp_path):
    spoil(to_dataset(series(), {})).to_netcdf(tmp_path / "obs.nc")
    with pytest.raises(DataSchemaError, match=message) as caught:
        read(tmp_path / "obs.nc", SERIES)
    assert "\n" not in str(caught.value)


def test_priors_sensors_and_operators_need_no_dolfinx():
    import subprocess
    import sys

    code = (
        "import sys; from pdeinv.problems.heat import Heat; p = Heat(); p.prior(); "
        "p.sensors('all@0.5'); p.grid_operator((9, 9)); p.dofs(1); p.memory_estimate(); "
        "bad = {'dolfinx', 'petsc4py', 'mpi4py', 'torch', 'gmsh'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_sensor_reads_linearly_between_two_time_levels():
    problem = heat(time={"steps": 4}, conductivity=0.2)
    at = problem.sensors("list:0.3,0.4@0.25,0.375,0.5")
    before, between, after = problem.forward_model(at)(draw(problem))
    assert between == pytest.approx((before + after) / 2, rel=1e-12)
    assert abs(before - after) > 1e-3 * abs(before)


def test_values_on_a_side_hold_from_the_start_whatever_the_initial_state():
    """Here the initial state is random everywhere, and the left side is held at 3."""
    held = {"left": {"kind": "dirichlet", "value": 3.0}}
    problem = heat(time={"steps": 2}, boundary=held)
    fields = problem.solve(draw(problem), 0)
    on_left = np.isclose(fields["x"].values, 0) & ~np.isin(fields["y"].values, (0, 1))
    assert on_left.sum() > 2
    assert (fields["u"].values[:, on_left] == 3.0).all()
