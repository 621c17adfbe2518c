"""Helmholtz's configuration, sensors, fields and errors."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from pdeinv.config import dump_toml, parse, parse_toml
from pdeinv.errors import ConfigError, DataSchemaError, ShapeError, SolverDiverged
from pdeinv.fem.complex_system import WaveSystem
from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig
from pdeinv.problems.helmholtz.incident import derivatives, source_places, waves
from pdeinv.problems.helmholtz.resolution import MIN_POINTS, points_per_wavelength

WALLS = {"kind": "dirichlet"}
TRACES = {"truncation": WALLS, "measure": "normal-derivative", "total": True}
STATIC = {"truncation": WALLS, "quantity": "source", "wavenumbers": [1.0]}


def config(**settings):
    return parse(HelmholtzConfig, settings, "problem")


def make(**settings):
    return Helmholtz(config(**settings))


@pytest.fixture(scope="module")
def small():
    return make(cells=6, frequencies=[1.0, 1.5], incident={"kind": "plane", "count": 3})


def draw(problem, seed=0):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def test_the_default_suits_every_engine_and_has_a_coarser_level():
    problem = Helmholtz()
    assert problem.prior().dim == 16
    assert problem.prior().space.names == ("contrast",)
    assert [problem.dofs(level) for level in (-1, 0, 1)] == [31**2, 55**2, 109**2]
    assert problem.domain.space(-1).n == problem.dofs(-1)


def test_a_configuration_survives_toml():
    given = config(
        cells=(8, 6),
        element="Q3",
        lengths=(2.0, 1.0),
        frequencies=(0.5, 1.0),
        speed=2.0,
        truncation={"kind": "impedance"},
        incident={"kind": "point", "places": [[0.1, 0.2]]},
        region=(0.5, 1.5, 0.3, 0.7),
        unknown={"kind": "bumps", "count": 3},
    )
    text = dump_toml(given.model_dump(mode="json"))
    assert parse(HelmholtzConfig, parse_toml(text, "text"), "problem") == given


def test_wave_numbers_and_frequencies_are_two_ways_to_say_the_same():
    given = config(frequencies=(1.0, 3.0), speed=2.0)
    np.testing.assert_allclose(given.ks, [np.pi, 3 * np.pi])
    again = config(wavenumbers=given.ks, speed=2.0)
    np.testing.assert_allclose(again.fs, given.fs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequncies": [1.0]}, "unknown key 'problem.frequncies'; did you mean 'frequencies'"),
        ({"frequencies": [0.0]}, "problem.frequencies"),
        ({"frequencies": [1.0], "wavenumbers": [1.0]}, "frequencies or wavenumbers, not both"),
        ({"frequencies": [1.0, 1.0]}, "each may appear once"),
        ({"wavenumbers": [0.0]}, "k = 0 has no waves; it needs quantity 'source' in walls"),
        ({**STATIC, "wavenumbers": [1.0, 2.0]}, "real data of one wave number"),
        ({"element": "P5"}, "problem.element"),
        ({"cells": 0}, "problem.cells"),
        ({"lengths": [1.0, -1.0]}, "problem.lengths"),
        ({"region": [0.2, 0.8, 0.5, 1.2]}, "region: expected x0 < x1 and y0 < y1 inside"),
        ({"region": [0.8, 0.2, 0.2, 0.8]}, "region: expected x0 < x1"),
        ({"measure": "far-field", "truncation": WALLS}, "waves that leave the domain"),
        ({"measure": "far-field", "total": True}, "waves that leave the domain"),
        ({"receivers": "integrate", "truncation": WALLS}, "measure 'field' of waves that leave"),
        ({"quantity": "source", "total": True}, "has no incident wave"),
        ({"quantity": "index", "unknown": {"kind": "bumps"}}, "'bumps' is a contrast"),
        ({"unknown": {"kind": "bumps", "width": [0.2, 0.1]}}, "two increasing numbers"),
        ({"truncation": {"kind": "abc"}}, "problem.truncation"),
        ({"incident": {"kind": "plane", "angles": []}}, "problem.incident"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config(**settings)
    assert "\n" not in str(caught.value)


def test_a_mesh_too_coarse_for_the_wavelength_names_the_size_that_is_enough():
    with pytest.raises(ConfigError, match=r"P1 needs 10; set cells to at least 64$") as caught:
        make(element="P1", cells=30, frequencies=[5.0]).domain.mesh()
    assert "level 0: 4.7 nodes per wavelength 0.158 (k = 31.42, n up to 1.6)" in str(caught.value)
    for element in ("P1", "P3", "Q4"):
        problem = make(element=element, cells=2, frequencies=[5.0])
        with pytest.raises(ConfigError, match="set cells to at least") as caught:
            problem.forward_model({"x": np.zeros(1), "y": np.zeros(1)})
        enough = int(str(caught.value).split()[-1])
        make(element=element, cells=enough, frequencies=[5.0]).domain.mesh()
        with pytest.raises(ConfigError, match="too few"):
            make(element=element, cells=enough - 1, frequencies=[5.0]).domain.mesh()


def test_the_size_named_for_a_coarse_level_can_be_coarsened():
    with pytest.raises(ConfigError, match="level -1") as caught:
        make(cells=12, frequencies=[4.0]).domain.mesh(-1)
    enough = int(str(caught.value).split()[-1])
    make(cells=enough, frequencies=[4.0]).domain.mesh(-1)


@pytest.mark.parametrize(
    ("unknown", "n"),
    [
        ({"kind": "gaussian", "mean": 0.1, "std": 0.2}, 1.5),
        ({"kind": "uniform", "low": 0.0, "high": 0.7}, 1.7),
        ({"kind": "two-phase", "low": 0.0, "high": 2.0}, 3.0),
        ({"kind": "inclusions", "amplitude": [0.1, 1.2]}, 2.2),
        ({"kind": "level-set", "values": [-0.9, -0.5, -0.1]}, 1.0),
    ],
)
def test_the_wavelength_is_that_in_the_densest_medium(unknown, n):
    given = config(unknown=unknown, wavenumbers=[2 * np.pi], cells=10, element="P2")
    assert points_per_wavelength(given, (10, 10)) == pytest.approx(20 / np.sqrt(n))


def test_k_zero_has_no_wavelength():
    assert points_per_wavelength(config(**{**STATIC, "wavenumbers": [0.0]}), (1, 1)) > MIN_POINTS[1]


def test_data_run_over_components_receivers_sources_and_frequencies(small):
    found = small.sensors("ring:4:0.3")
    assert len(found["x"]) == 2 * 3 * 4 * 2
    np.testing.assert_array_equal(found["component"][:4], [0, 1, 0, 1])
    np.testing.assert_allclose(found["x"][:8:2], [0.8, 0.5, 0.2, 0.5], atol=1e-12)
    np.testing.assert_array_equal(found["source"][::8], [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(np.unique(found["frequency"]), [1.0, 1.5])
    assert set(small.observed.coords) == {"x", "y", "source", "frequency", "component"}


def test_data_may_come_in_any_order_and_number(small):
    m, sensors = draw(small), small.sensors("ring:5:0.4")
    whole = small.forward_model(sensors)(m)
    chosen = np.random.default_rng(2).permutation(len(whole))[:17]
    some = {name: column[chosen] for name, column in sensors.items()}
    np.testing.assert_allclose(small.forward_model(some)(m), whole[chosen], rtol=1e-12)


def test_the_static_problem_has_real_data_at_places_alone():
    problem = make(cells=6, **STATIC)
    assert set(problem.observed.coords) == {"x", "y"}
    assert len(problem.sensors("grid:3x2")["x"]) == 6
    fields = problem.solve(draw(problem), level=0)
    assert fields["u"].dims == ("node",)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ring:0", "expected ring:N"),
        ("ring:8:-1", "expected ring:N"),
        ("ring:8:x", "expected ring:N"),
        ("grid:0x3", "expected grid:KxL"),
        ("nonsense", "not understood, and no such file; expected ring:N"),
        ("boundary:4", "not understood, and no such file; expected ring:N"),
        ("list:0.1", "expected rows of finite numbers x,y"),
        (
            "list:0.5,0.5;0.5,1.1",
            r"sensor 1 at \(x, y\) = \(0.5, 1.1\) lies in the absorbing layer",
        ),
        ("list:0.5,0.5;0.5,3", r"sensor 1 at \(x, y\) = \(0.5, 3\) lies outside the rectangle"),
    ],
)
def test_sensors_that_are_not_understood_or_in_the_layer_are_an_error(small, spec, message):
    with pytest.raises(ConfigError, match=message):
        small.sensors(spec)


def test_a_model_refuses_sensors_in_the_layer_and_unknown_labels(small):
    good = {name: column[:2].copy() for name, column in small.sensors("ring:2").items()}
    for name, value, message in (
        ("x", -0.1, "sensor 1 .* lies in the absorbing layer"),
        ("source", 3.0, "datum 1 has source 3, the problem has 0, 1, 2"),
        ("frequency", 1.2, "datum 1 has frequency 1.2, the problem has 1, 1.5"),
        ("component", 2.0, "datum 1 has component 2, the problem has 0, 1"),
    ):
        bad = {key: column.copy() for key, column in good.items()}
        bad[name][1] = value
        with pytest.raises(DataSchemaError, match=message):
            small.forward_model(bad)


def test_traces_are_measured_on_sides_only():
    problem = make(cells=6, frequencies=[1.0], **TRACES)
    found = problem.sensors("boundary:3")
    assert len(found["x"]) == 4 * 3 * 4 * 2
    with pytest.raises(ConfigError, match="lies on no side"):
        problem.sensors("list:0.5,0.5")
    with pytest.raises(ConfigError, match="lies on no side"):
        problem.sensors("list:0,0")
    with pytest.raises(ConfigError, match="expected boundary:N"):
        problem.sensors("ring:4")


def test_far_field_receivers_are_angles(tmp_path):
    problem = make(cells=6, frequencies=[1.0], measure="far-field")
    np.testing.assert_allclose(problem.sensors("ring:4")["angle"][:8:2], [0, 90, 180, 270])
    path = tmp_path / "angles.csv"
    path.write_text("angle\n10\n20\n")
    np.testing.assert_array_equal(
        problem.sensors(str(path))["angle"], problem.sensors("list:10;20")["angle"]
    )
    path.write_text("x,y\n10,1\n")
    with pytest.raises(ConfigError, match="expected a CSV file with header angle"):
        problem.sensors(str(path))


def test_integrated_receivers_may_be_anywhere_but_in_the_region():
    problem = make(cells=6, frequencies=[1.0], receivers="integrate")
    problem.sensors("list:5,-3;0.1,0.5")
    with pytest.raises(ConfigError, match=r"sensor 1 .* lies in the region of the unknown"):
        problem.sensors("list:5,-3;0.5,0.5")


def test_point_sources_stay_out_of_the_region():
    with pytest.raises(ConfigError, match=r"point source 0 at \(x, y\) = \(0.5, 0.5\) lies in the"):
        source_places(config(incident={"kind": "point", "places": [[0.5, 0.5]]}))


@pytest.mark.parametrize("kind", ["plane", "point"])
def test_incident_waves_solve_the_equation_and_have_their_derivative(kind):
    given, k, h = config(incident={"kind": kind, "count": 3}), 7.0, 1e-4
    x = np.array([[0.4, 0.3]])
    along = np.array([[0.6, 0.8]])
    slope = (waves(given, k, x + h * along) - waves(given, k, x - h * along)) / (2 * h)
    np.testing.assert_allclose(derivatives(given, k, x, along), slope, rtol=1e-6)
    steps = [waves(given, k, x + h * np.array(d)) for d in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    laplace = (sum(steps) - 4 * waves(given, k, x)) / h**2
    np.testing.assert_allclose(laplace, -(k**2) * waves(given, k, x), rtol=1e-5)


def test_all_means_every_node_of_the_rectangle(small):
    found = small.sensors("all")
    n = 19**2
    assert len(found["x"]) == n * 2 * 3 * 2
    walls = make(cells=4, element="P2", **STATIC)
    assert len(walls.sensors("all")["x"]) == 7**2


@pytest.mark.parametrize("element", ["P1", "P3", "P4", "Q2", "Q4"])
def test_observing_a_solution_is_the_forward_model_of_its_level(element, tmp_path):
    problem = make(element=element, cells=20 if element == "P1" else 6, frequencies=[1.0])
    m, sensors = draw(problem), problem.sensors("ring:6")
    expected = problem.forward_model(sensors, level=1)(m)
    problem.solve(m, level=1).to_netcdf(tmp_path / "truth.nc")
    back = xr.load_dataset(tmp_path / "truth.nc")
    other = make(cells=10)
    np.testing.assert_allclose(other.observe(back, sensors), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        ({**TRACES, "frequencies": [1.0]}, "boundary:3"),
        ({"measure": "far-field"}, "ring:5"),
        (STATIC, "grid:3x3"),
        ({"quantity": "source"}, "grid:3x3"),
    ],
)
def test_every_measurement_can_be_observed(settings, spec):
    problem = make(**settings)
    sensors = problem.sensors(spec)
    m = draw(problem)
    found = problem.observe(problem.solve(m, level=0), sensors)
    np.testing.assert_allclose(found, problem.forward_model(sensors)(m), rtol=1e-9, atol=1e-12)


def test_fields_carry_units_and_faces_that_fill_the_mesh():
    problem = make(cells=(6, 4), lengths=(2.0, 1.0), element="P4", frequencies=[0.5])
    fields = problem.solve(draw(problem), level=0)
    x, y, faces = fields["x"].values, fields["y"].values, fields["face_node_connectivity"].values
    a, b, c = (np.stack([x[faces[:, i]], y[faces[:, i]]]) for i in range(3))
    areas = 0.5 * ((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0])
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(2.5 * 1.5)
    assert fields.sizes["node"] == problem.dofs(0)
    assert all("units" in v.attrs for v in fields.variables.values() if v.dtype.kind == "f")


@pytest.mark.parametrize("change", ["problem", "level", "variable", "shape"])
def test_fields_of_something_else_are_refused(small, change):
    fields = small.solve(draw(small), level=0)
    if change == "problem":
        fields.attrs["pdeinv_problem"] = "heat"
    elif change == "level":
        del fields.attrs["pdeinv_level"]
    elif change == "variable":
        fields = fields.drop_vars("m")
    else:
        fields.attrs["pdeinv_level"] = 1
    with pytest.raises(DataSchemaError, match=r"pdeinv solve helmholtz|solve again"):
        small.observe(fields, small.sensors("ring:2"))


def test_what_is_not_finite_fails_the_solve_and_leaves_the_model_usable(small):
    model, m = small.forward_model(small.sensors("ring:3")), draw(small)
    good, spoilt = model(m), m.copy()
    spoilt[5] = np.nan
    for call in (model, model.linearize, small.solve):
        with pytest.raises(SolverDiverged, match=r"value 5 of m is nan$"):
            call(spoilt)
    np.testing.assert_array_equal(model(m), good)
    with pytest.raises(ShapeError, match="expected last axis 1089"):
        model(np.ones(3))


def test_a_singular_matrix_is_refused(small):
    rule = small.domain.rule(0)
    singular = 0.0 * small.domain.system(1.0, 0, rule).matrix(np.zeros(len(rule.weights)))
    with pytest.raises(SolverDiverged, match="k² may be an eigenvalue of the closed domain"):
        WaveSystem(singular, 1.0, rule).factor(np.zeros(len(rule.weights)))


def test_the_grid_operator_gives_the_contrast_where_there_is_no_taper():
    problem = make(cells=6, frequencies=[1.0], region=(0.0, 1.0, 0.0, 1.0), taper=0.0)
    m = draw(problem)
    places = problem.grid((5, 9))
    points = np.stack([places["x"], places["y"]], axis=1)
    np.testing.assert_allclose(problem.grid_operator((5, 9)) @ m, problem.coefficient_at(points)(m))
    with pytest.raises(ConfigError, match="grid shape"):
        problem.grid((3,))
    with pytest.raises(ConfigError, match="no matrix to a grid"):
        make(unknown={"kind": "bumps"}).grid_operator((5, 5))


def test_the_taper_ends_at_the_region():
    problem = make(unknown={"kind": "uniform", "low": 0.5, "high": 1.0})
    x = np.array([0.19, 0.2, 0.23, 0.26, 0.5, 0.74, 0.8, 0.81])
    found = problem.coefficient_at(np.stack([x, np.full(8, 0.5)], axis=1))(np.ones(1))
    np.testing.assert_allclose(found, [0, 0, 0.5, 1, 1, 1, 0, 0], atol=1e-12)


def test_the_unknown_does_not_change_with_the_level():
    problem = make(cells=8, frequencies=[1.5])
    m, sensors = draw(problem), problem.sensors("ring:6")
    values = [problem.forward_model(sensors, level)(m) for level in (-1, 0, 1)]
    assert np.abs(values[0] - values[2]).max() > 5 * np.abs(values[1] - values[2]).max() > 0


def test_the_taper_costs_no_accuracy_on_a_coarse_mesh():
    problem = make(cells=6, frequencies=[1.0])
    m, sensors = draw(problem), problem.sensors("ring:6")
    coarse, fine = (problem.forward_model(sensors, level)(m) for level in (0, 1))
    assert np.abs(coarse - fine).max() < 5e-3 * np.abs(fine).max()


@pytest.mark.parametrize("level", [-2, -5])
def test_cells_that_cannot_be_halved_are_an_error(level):
    with pytest.raises(ConfigError, match=f"level {level}: 10 x 10 cells cannot be coarsened"):
        make(cells=10).dofs(level)


def test_configuration_prior_and_sensors_need_no_dolfinx():
    code = (
        "import sys; from pdeinv.problems.helmholtz import Helmholtz; p = Helmholtz(); p.prior(); "
        "p.sensors('ring:4'); p.grid_operator((9, 9)); p.dofs(1); "
        "assert not {'dolfinx', 'petsc4py', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
