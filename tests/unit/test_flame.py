"""The flame problem: configuration, sensors, tables of others, and the text of every error."""

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.io import netcdf
from pdeinv.io.observations import read
from pdeinv.jobs.import_data import import_file
from pdeinv.problems.flame import Flame, FlameConfig

COUPLE = {
    "cells": 64,
    "unknown": {"equivalence_ratio": {"kind": "uniform", "low": 0.4, "high": 0.5}},
}


def flame(table=None):
    return Flame(parse(FlameConfig, table or {}, "problem"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"equivalence_ratio": 1.7},
            "problem.equivalence_ratio: input should be less than or equal",
        ),
        ({"pressure": -1.0}, "problem.pressure: input should be greater than 0"),
        ({"pressure": 1.0}, r"problem.pressure: .*is p = 1 in atm or bar\?"),
        (
            {"unknown": {"pressure": {"kind": "normal", "mean": 1.0, "std": 0.1}}},
            r"unknown.pressure.*is p = 1 in atm or bar\?",
        ),
        ({"inlet_temperature": 25.0}, "problem.inlet_temperature: input should be greater than or"),
        ({"length": 1e9}, "problem.length: input should be less than or equal to 10"),
        ({"length": 1e-7}, "problem.length: input should be greater than or equal to 0.00001"),
        ({"activation_enrgy": 1e5}, "did you mean 'activation_energy'"),
        ({"unknown": {"viscosity": {"kind": "normal", "mean": 1.0, "std": 1.0}}}, "unknown key"),
        ({"unknown": {}}, "expected a prior of at least one of conductivity"),
        (
            {"unknown": {"pressure": {"median": 1.0, "std": 1.0}}},
            "the key 'kind', which says what it is, is missing",
        ),
        (
            {"unknown": {"pressure": {"kind": "uniform", "low": 2.0, "high": 1.0}}},
            "low must be less",
        ),
        ({"model": "detailed"}, "problem.model: input should be 'one-step'"),
        ({"grading": 1.0}, "problem.grading: input should be less than or equal to 0.9"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        flame(table)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("list:0.002", "lies outside the domain"),
        ("grid:5@T,rho", "'T,rho' not understood"),
        ("grid:5@T,T", "not understood"),
        ("speed:fast", "expected speed:PHI,PHI"),
        ("speed:0.4,1.3", "phi must be in the flammable range 0.3 to 1.0; got 1.3"),
        ("nowhere.csv", "not understood, and no such file"),
    ],
)
def test_sensors_that_make_no_sense_are_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        flame().sensors(spec)


def test_sensors_are_profiles_and_speeds():
    found = flame().sensors("list:0.0005;0.001@T,Y+speed:0.4,0.45")
    np.testing.assert_array_equal(found["quantity"], [1, 1, 3, 3, 0, 0])
    np.testing.assert_array_equal(found["x"], [0.0005, 0.001, 0.0005, 0.001, 0, 0])
    np.testing.assert_array_equal(found["phi"], [0.4, 0.4, 0.4, 0.4, 0.4, 0.45])


def test_sensors_from_a_file_take_what_is_missing_from_the_configuration(tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text("quantity,x,T_in\nT,0.0005,\ns_L,,400\n")
    found = flame().sensors(str(path))
    np.testing.assert_array_equal(found["quantity"], [1, 0])
    np.testing.assert_array_equal(found["T_in"], [298, 400])
    np.testing.assert_array_equal(found["phi"], [0.4, 0.4])
    for text, said in (("x\n1\n", "header of quantity"), ("quantity,x\nW,0.1\n", "among s_l, t")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            flame().sensors(str(path))


@pytest.mark.parametrize(
    ("coordinate", "value", "said"),
    [
        ("p", -1e5, r"p must be from 1000 to 1e\+08 Pa \(is it in atm or bar\?\); got -100000"),
        ("T_in", 25.0, r"T_in must be from 200 to 1500 K \(is it in degrees Celsius\?\); got 25"),
        ("phi", 2.0, "phi must be in the flammable range"),
        ("quantity", 4.0, "is of quantity 4; expected 0 to 3"),
        ("x", 0.1, "lies outside the domain"),
    ],
)
def test_data_that_no_flame_has_are_refused(coordinate, value, said):
    problem = flame()
    sensors = {**problem.sensors("grid:3@T"), coordinate: np.full(3, value)}
    with pytest.raises(DataSchemaError, match=said):
        problem.forward_model(sensors)


def test_a_state_of_the_inlet_that_is_sought_is_of_one_experiment():
    problem = flame(COUPLE)
    places = {**problem.sensors("speed"), "phi": np.array([0.45])}
    with pytest.raises(DataSchemaError, match="equivalence_ratio is sought, so that data must be"):
        problem.forward_model(places)
    speed = problem.forward_model(problem.sensors("speed"))
    assert speed(np.array([0.48]))[0] > 1.3 * speed(np.array([0.4]))[0]


def test_an_extinguished_flame_is_an_error_and_no_profile():
    problem = flame({"cells": 64})
    model = problem.forward_model(problem.sensors("grid:3"))
    with pytest.raises(SolverDiverged, match=r"extinguished|no steady flame"):
        model(np.array([0.03, 4e5]))
    for m in ([-1.0, 1.2e5], [0.03, 0.0]):
        with pytest.raises(SolverDiverged, match="must lie between"):
            model(np.array(m))


def test_a_domain_without_a_flame_is_told_before_anything_is_sought():
    with pytest.raises(ConfigError, match="no flame at the middle of the priors"):
        flame({"length": 2e-4}).equations(0)


@pytest.mark.parametrize("table", [{"length": 1.5}, {"inlet_gradient": 1e10}])
def test_a_flame_at_the_very_start_of_a_long_domain_asks_for_a_shorter_one(table):
    with pytest.raises(ConfigError, match=r"within .* m, at the very start .* a shorter domain"):
        flame({"cells": 64, **table}).equations(0)


def test_results_report_speed_and_profiles():
    problem = flame({"cells": 64})
    m = problem.prior().unwhiten(np.zeros(2))
    derived = problem.derived(0)
    found = derived.space.unpack(derived.values(m))
    fields = problem.solve(m, 0)
    assert float(found["s_L"]) == pytest.approx(float(fields["s_L"]), rel=1e-12)
    assert found["T"].attrs["units"] == "K"
    there = np.interp(found["x"], fields["x"], fields["T"])
    np.testing.assert_allclose(found["T"], there, rtol=1e-3)


# ---- tables ----


def imported(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return import_file("flame", "csv", path, options)


def test_profiles_are_read_in_the_units_of_their_header(tmp_path):
    text = "x [mm],T [degC],u (cm/s),T_sigma [K],u_sigma [cm/s]\n0.5,500,80,5,2\n1,,400,,9\n"
    dataset = imported(tmp_path, text, p=101325.0, t_in=298.0, phi=0.44)
    assert dataset["T"].attrs["units"] == "K"
    netcdf.write(tmp_path / "obs.nc", dataset)
    found = read(tmp_path / "obs.nc", Flame().observed)
    np.testing.assert_allclose(found.values, [773.15 / 1024, 0.8, 4.0])
    np.testing.assert_allclose(found.noise.std, [5 / 1024, 0.02, 0.09])
    np.testing.assert_allclose(found.coords["x"], [5e-4, 5e-4, 1e-3])
    assert found.problem_config["equivalence_ratio"] == 0.44


def test_speeds_of_several_experiments_are_read(tmp_path):
    text = "phi;p [atm];T_in [degC];s_L [cm/s]\n0,40;1;25;26,8\n0,45;1,2;25;31,8\n"
    netcdf.write(tmp_path / "obs.nc", imported(tmp_path, text, rel=0.02))
    found = read(tmp_path / "obs.nc", Flame().observed)
    np.testing.assert_allclose(found.values, [0.268 / 0.25, 0.318 / 0.25])
    np.testing.assert_allclose(found.noise.std, 0.02 * found.values)
    np.testing.assert_allclose(found.coords["p"], [101325.0, 121590.0])
    np.testing.assert_allclose(found.coords["T_in"], [298.15, 298.15])


def test_noise_that_is_missing_is_a_part_of_the_value(tmp_path):
    text = "x [mm],T [K],T_sigma [K]\n1,300,\n,,\n2,400,7\n"
    dataset = imported(tmp_path, text, **GIVEN)
    np.testing.assert_allclose(dataset["T_sigma"], [30, 7])


def test_cells_that_say_that_they_hold_nothing_are_counted(tmp_path):
    text = "x [mm],T [K],u [m/s]\n1,300,nan\n1.5,NA,.4\n2,400,n/a\n3,,.5\n"
    said = r"table.csv: cells that hold no number .*: 1 in column 't \[k\]', 2 in column 'u \[m/s"
    with pytest.warns(UserWarning, match=said):
        dataset = imported(tmp_path, text, **GIVEN)
    np.testing.assert_array_equal(np.isfinite(dataset["u"]), [False, True, False, True])


def test_speeds_in_other_units_than_the_header_says_are_told(tmp_path):
    with pytest.warns(UserWarning, match=r"s_L = 38 m/s is faster .*; is the column in cm/s\?"):
        imported(tmp_path, "s_L [m/s]\n.3\n38\n", **GIVEN)


def test_flags_out_of_range_are_refused(tmp_path):
    for flag, said in (({"phi": 3.0}, "--phi: .*equal to 1"), ({"p": 1.0}, "--p: .*atm or bar")):
        with pytest.raises(ConfigError, match=said):
            imported(tmp_path, "s_L [m/s]\n.3\n", **{**GIVEN, **flag})


GIVEN = {"p": 101325.0, "t_in": 298.0, "phi": 0.4, "rel": 0.1}


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("x [mm],T\n1,300\n", GIVEN, "column T has no units; write them behind it, such as"),
        ("x [mm],T [F]\n1,300\n", GIVEN, "column T has units 'f'; known are K, degC"),
        ("x [mm],W\n1,300\n", GIVEN, "column 'w' is not known"),
        ("x [mm]\n1\n", GIVEN, "expected a column of s_L, T, u, Y"),
        ("T [K]\n300\n", GIVEN, "profiles need a column x"),
        ("x [mm],T [K]\n", GIVEN, "has no rows"),
        ("x [mm],T [K]\n1,hot\n", GIVEN, "line 2: column 't \\[k\\]' holds 'hot'"),
        ("x [mm],T [K]\n1,300\n", {**GIVEN, "phi": None}, "the column phi is not there; give it"),
        ("x [mm],T [K],phi\n1,300,0.4\n", GIVEN, "the column phi is there twice"),
        ("x [mm],T [K]\n1,300\n", {**GIVEN, "rel": None}, "no noise given for T; add a column"),
        ("s_L [cm/s],s_L [m/s]\n26,0.3\n", GIVEN, "gives s_L, which another column gives as well"),
        ("x [mm],T [K]\n1,300\n,400\n", GIVEN, "line 3: x of T must be a place .*; got nothing"),
        ("x [mm],T [K]\n-1,300\n", GIVEN, "line 2: x of T must be a place .*; got -0.001"),
        ("x [mm],T [degC]\n1,-300\n", GIVEN, "line 2: T must be above 0 K; got -26.85"),
        ("x [mm],Y\n1,26\n", {**GIVEN, "rel": 0.01}, "line 2: Y must be from 0 to 1"),
        ("s_L [m/s]\n0\n", GIVEN, "line 2: s_L must be positive, in m/s; got 0"),
        ("x [m],Y\n1e-3,0\n", GIVEN, "line 2: Y has no noise by --rel .* a column Y_sigma there"),
        ("s_L [m/s]\n-0.2\n", GIVEN, "line 2: s_L must be positive"),
        ("s_L [m/s],s_L_sigma [m/s]\n\n.3,.1\n.3,0\n", GIVEN, "line 4: s_L_sigma must be positive"),
        (
            "s_L [m/s],s_L_sigma [m/s]\n.3,\n",
            {**GIVEN, "rel": None},
            "line 2: s_L_sigma must be positive; fill it, or give --rel; got nothing",
        ),
        ("s_L [m/s],x [m]\n,1\n", GIVEN, "no row has a value of s_L"),
        (
            "s_L [m/s],phi\n.3,.4\n.3,1.4\n",
            {**GIVEN, "phi": None},
            "line 3: phi must be in the flammable range 0.3 to 1.0; got 1.4",
        ),
        ("s_L [m/s],p [Pa]\n.3,1\n", {**GIVEN, "p": None}, r"line 2: p must be .*bar\?\); got 1"),
    ],
)  # fmt: skip
def test_other_tables_are_refused(tmp_path, text, options, said):
    with pytest.raises(DataSchemaError, match=said) as error:
        imported(tmp_path, text, **options)
    assert "\n" not in str(error.value)
