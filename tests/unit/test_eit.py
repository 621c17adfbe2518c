"""Impedance tomography's configuration, electrodes, patterns, sensors, fields and errors."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.config import dump_toml, parse, parse_toml
from pdeinv.errors import ConfigError, DataSchemaError, ShapeError, SolverDiverged
from pdeinv.fem.outlines import RectangleOutline, disc, distance_along_ray, ellipse, snapped, thorax
from pdeinv.problems.eit import Eit, EitConfig
from pdeinv.problems.eit.setup.patterns import pattern_matrix


def config(**settings):
    return parse(EitConfig, settings, "problem")


def make(**settings):
    return Eit(config(**{"cells": 8, "electrodes": {"count": 8, "cells": 2}, **settings}))


@pytest.fixture(scope="module")
def small():
    return make()


def pattern(n=6, **settings):
    return pattern_matrix(config(drive={"pattern": settings}).drive.pattern, n)


def draw(problem, seed=0):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def test_the_default_has_other_levels():
    problem = Eit()
    assert problem.prior().space.names == ("conductivity",)
    sizes = [problem.dofs(level) for level in (-1, 0, 1)]
    assert sizes[0] < sizes[1] / 2 < sizes[2] / 4
    assert len(problem.sensors("all")["injection"]) == 16 * 13


@pytest.mark.parametrize(
    ("domain", "modes", "length"),
    [
        ({}, 64, 0.5),
        ({"kind": "disc", "radius": 0.1, "depth": 0.05}, 150, 0.05),
        ({"kind": "rectangle", "lengths": [4.0, 1.0]}, 64, 1.0),
    ],
)
def test_fields_take_what_is_not_said_from_the_body(domain, modes, length):
    said = {"permittivity": {"kind": "log-gaussian", "mean": -3.0}, "frequency": 1.0}
    made = config(**({"domain": domain} if domain else {}), **said)
    for field in (made.unknown, made.permittivity):
        assert (field.modes, field.length, field.std) == (modes, length, 1.0)
        assert len(field.grid) == (3 if made.domain.solid else 2)
    assert config(unknown={"kind": "log-gaussian", "modes": 8}).unknown.modes == 8


def test_the_schema_shows_the_default_that_is_used():
    shown = EitConfig.model_json_schema()["properties"]["unknown"]["default"]
    assert (
        shown
        == EitConfig().unknown.model_dump(mode="json")
        == config().unknown.model_dump(mode="json")
    )


def test_a_configuration_survives_toml():
    given = config(
        domain={"kind": "ellipse", "axes": (0.2, 0.1)},
        electrodes={"angles": (0, 90, 200), "width": 0.02, "impedance": (1e-3, 2e-3, 3e-3)},
        drive={"pattern": {"kind": "matrix", "matrix": ((1, -1, 0), (0, 1, -1))}, "current": 2e-3},
        frequency=5e4,
        permittivity={"kind": "piecewise", "cells": (2, 2)},
        unknown={"kind": "heart-and-lungs"},
        difference=True,
        reference_permittivity=1e-9,
    )
    assert parse(EitConfig, parse_toml(dump_toml(given.model_dump(mode="json")), "x"), "x") == given


def test_complex_differences_refer_to_the_stated_admittivity():
    fields = {"permittivity": {"kind": "elements"}, "unknown": {"kind": "elements"}}
    given = {**fields, "frequency": 0.5, "difference": True, "reference": 2.0}
    with pytest.raises(ConfigError, match="set reference_permittivity"):
        config(**given)
    problem = make(**given, reference_permittivity=0.3)
    model = problem.forward_model(problem.sensors("all"))
    cells = model.m_space.size // 2
    same = model(np.repeat([2.0, 0.3], cells))
    other = model(np.repeat([2.0, 0.2], cells))
    assert np.abs(same).max() < 1e-12 * np.abs(model.table(model.state(np.ones(2 * cells)))).max()
    assert np.abs(other).max() > 0.01 * np.abs(model(np.ones(2 * cells))).max()
    assert "permittivity 0.3 F m-1" in problem.observed.long_name


def test_prior_lengths_follow_the_body():
    assert config(domain={"kind": "disc", "radius": 0.1}).unknown.length == pytest.approx(0.05)
    own = {"kind": "log-gaussian", "length": 0.7}
    assert config(unknown=own).unknown.length == 0.7
    phases = config(domain={"kind": "disc", "radius": 0.1}, unknown={"kind": "two-phase"}).unknown
    assert phases.tau == pytest.approx(15.0)
    solid = config(domain={"kind": "disc", "depth": 1.0}, unknown={"kind": "log-gaussian"}).unknown
    assert len(solid.grid) == 3


def test_pairs_have_the_order_and_sign_that_they_say():
    ends = [[1, -1, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(pattern(kind="adjacent")[[0, 5]], ends)
    np.testing.assert_array_equal(pattern(kind="opposite")[1], [0, 1, 0, 0, -1, 0])
    np.testing.assert_array_equal(pattern(kind="skip", skip=1)[0], [1, 0, -1, 0, 0, 0])
    turned = pattern(kind="adjacent", rotation=2, order="backward", sign=-1)
    np.testing.assert_array_equal(turned[0], [0, 1, -1, 0, 0, 0])
    against = pattern(kind="against-one", references=(1, 4))
    assert against.shape == (10, 6)
    np.testing.assert_array_equal(against[0], [1, -1, 0, 0, 0, 0])
    np.testing.assert_array_equal(against[9], [0, 0, 0, 0, -1, 1])


@pytest.mark.parametrize("n", [5, 6, 16])
def test_trigonometric_patterns_are_orthogonal_and_carry_no_net_current(n):
    rows = pattern(n, kind="trigonometric")
    assert rows.shape == (n - 1, n)
    np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-12)
    gram = rows @ rows.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-12)


OUTLINES = {
    "disc": (disc(0.5), np.pi),
    "ellipse": (ellipse(1.0, 0.5), 4.844224110273838),
    "rectangle": (RectangleOutline((1.0, 0.5)), 6.0),
}


@pytest.mark.parametrize(("outline", "length"), OUTLINES.values(), ids=list(OUTLINES))
def test_outlines_have_their_length_and_are_met_by_their_rays(outline, length):
    assert outline.length == pytest.approx(length, rel=1e-8)
    s = np.linspace(0, outline.length, 200, endpoint=False) + 1e-3
    points = outline.at(s)
    np.testing.assert_allclose(distance_along_ray(outline, points), 0, atol=1e-8)
    again = outline.arc_length(np.arctan2(points[:, 1], points[:, 0]))
    np.testing.assert_allclose(again, s % outline.length, atol=1e-6)
    np.testing.assert_allclose(snapped(outline, 0.9 * points), points, atol=1e-8)


def test_a_thorax_is_wider_than_deep_and_its_meshes_follow_it():
    a, b = thorax(1.0).half_widths
    assert 1.3 < a / b < 1.6
    problem = make(domain={"kind": "thorax"})
    for level in (0, 1):
        mesh = problem.domain.mesh(level)
        rim = mesh.points[np.unique(mesh.facets)]
        np.testing.assert_allclose(distance_along_ray(problem.domain.outline, rim), 0, atol=1e-7)


def test_electrode_lengths_are_exact_on_straight_sides():
    electrodes = {"angles": (0, 90, 180, 270), "width": (0.3, 0.4, 0.5, 0.6)}
    problem = make(domain={"kind": "rectangle", "lengths": (2.0, 1.0)}, electrodes=electrodes)
    for level in (-1, 0, 1):
        np.testing.assert_allclose(problem.body(level).areas, [0.3, 0.4, 0.5, 0.6], rtol=1e-9)


def test_electrodes_start_and_turn_as_told():
    places = make(electrodes={"count": 4, "start": 90, "direction": "clockwise"})
    np.testing.assert_allclose(
        places.domain.electrode_places()[0], [[0, 1], [1, 0], [0, -1], [-1, 0]], atol=1e-6
    )
    solid = make(electrodes={"count": 2, "rings": (0.2, 0.8), "height": 0.1},
                 domain={"kind": "disc", "depth": 1.0})  # fmt: skip
    np.testing.assert_allclose(solid.domain.electrode_places()[0][:, 2], [0.2, 0.2, 0.8, 0.8])


def test_voltages_of_driven_electrodes_are_left_out_unless_asked_for(small):
    rows = small.sensors("all")
    assert len(rows["injection"]) == 8 * 5
    touching = (rows["measurement"] - rows["injection"]) % 8
    assert set(touching) == {2, 3, 4, 5, 6}
    assert len(make(measure={"include_driven": True}).sensors("all")["injection"]) == 64
    assert len(make(drive={"pattern": {"kind": "trigonometric"}}).sensors("all")["injection"]) == 56


def test_sensors_are_read_from_text_and_files(small, tmp_path):
    assert set(small.sensors("injections:1,3")["injection"]) == {1, 3}
    table = small.sensors("list:0,2;5,1")
    np.testing.assert_array_equal(table["measurement"], [2, 1])
    (tmp_path / "pairs.csv").write_text("injection,measurement\n0,2\n5,1\n")
    again = small.sensors(str(tmp_path / "pairs.csv"))
    np.testing.assert_array_equal(again["injection"], table["injection"])
    both = make(frequency=1e3).sensors("list:0,2")
    np.testing.assert_array_equal(both["component"], [0, 1])


DEEP = {"kind": "disc", "depth": 1.0}


def given(rows, count):
    return {
        "electrodes": {"count": count},
        "drive": {"pattern": {"kind": "matrix", "matrix": rows}},
    }


ERRORS = {
    "overlap": ({"electrodes": {"angles": (0, 5, 90), "width": 0.2}}, "electrodes 0 and 1 overlap"),
    "off": ({"electrodes": {"points": ((1, 0), (0, 0.8))}}, r"electrode 1 .* 0.2 m off the"),
    "above": (
        {"domain": DEEP, "electrodes": {"rings": (0.95,), "height": 0.2}},
        "ring 0 covers z from 0.85 to 1.05 m, beyond the boundary",
    ),
    "rings": (
        {"domain": DEEP, "electrodes": {"rings": (0.4, 0.5), "height": 0.2}},
        "electrode rings overlap",
    ),
    "flat rings": ({"electrodes": {"rings": (0.5,)}}, "need a solid"),
    "currents": (given(((1, -0.5),), 2), "currents of injection 0 sum to 0.0005 A, expected 0"),
    "none": (given(((0, 0),), 2), "injection 0 carries no current"),
    "columns": (given(((1, -1),), 8), "rows have 2 numbers, there are 8 electrodes"),
    "odd": ({"electrodes": {"count": 5}, "drive": {"pattern": {"kind": "opposite"}}}, "even"),
    "far": ({"drive": {"pattern": {"kind": "skip", "skip": 7}}}, "use at most 6"),
    "reference": (
        {"drive": {"pattern": {"kind": "against-one", "references": (9,)}}},
        "reference 9 is no electrode; they are 0 to 7",
    ),
    "left out": (
        {"electrodes": {"count": 3}}, "no datum is left; set measure.include_driven = true",
    ),
    "impedances": ({"electrodes": {"count": 8, "impedance": (1, 2)}}, "of 8 electrodes, got 2"),
    "no level": ({"cells": 2, "unknown": {"kind": "log-gaussian", "grid": (5, 5, 5)}},
                 "expected 2 numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "text"), ERRORS.values(), ids=list(ERRORS))
def test_bad_configurations_are_refused_in_one_line(settings, text):
    problem = make(**settings)
    with pytest.raises(ConfigError, match=text):
        problem.forward_model(problem.sensors("all"))


PARSED = {
    "zero impedance": ({"electrodes": {"impedance": 0.0}}, "impedance must be positive, got 0"),
    "both": ({"electrodes": {"angles": (0, 1), "points": ((1, 0), (0, 1))}}, "not both"),
    "negative": ({"unknown": {"kind": "uniform", "low": -1.0}}, "positive everywhere"),
    "solid map": ({"model": "continuum", "domain": {"kind": "disc", "depth": 1.0}}, "plane domain"),
    "direct current": ({"permittivity": {"kind": "piecewise"}}, "needs a frequency above 0"),
    "thick": ({"domain": {"kind": "disc", "depth": 1.0}, "thickness": 2.0}, "depth of its own"),
    "ragged": (
        {"drive": {"pattern": {"kind": "matrix", "matrix": ((1, -1), (1, -1, 0))}}}, "all rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "text"), PARSED.values(), ids=list(PARSED))
def test_values_out_of_range_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        config(**settings)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("grid:3x3", "not understood, and no such file; expected all"),
        ("list:0,99", "measurement 99, the protocol has 0 to 7"),
        ("injections:8", "injection 8, the protocol has 0 to 7"),
        ("list:0.5,1", "expected whole numbers"),
        ("injections:a", "expected whole numbers"),
    ],
)
def test_sensors_that_are_not_understood_say_what_is(small, spec, text):
    with pytest.raises(ConfigError, match=text):
        small.sensors(spec)


def test_data_of_another_protocol_are_refused(small):
    where = {"injection": np.array([3.0]), "measurement": np.array([8.0])}
    with pytest.raises(DataSchemaError, match="datum 0 has measurement 8, the protocol has 0 to 7"):
        small.forward_model(where)
    where = {"injection": np.array([3.0]), "measurement": np.array([0.0])}
    with pytest.raises(DataSchemaError, match="component 2; expected 0"):
        make(frequency=1.0).forward_model({**where, "component": np.array([2.0])})


def test_conductivities_and_impedances_must_be_positive():
    problem = make(electrodes={"count": 8, "cells": 2, "impedance_std": 0.3})
    model, m = problem.forward_model(problem.sensors("all")), draw(problem)
    bad = m.copy()
    bad[0] = np.nan
    with pytest.raises(SolverDiverged, match="the unknown must be finite; value 0 of m is nan"):
        model(bad)
    with pytest.raises(SolverDiverged, match="conductivity must be positive and finite"):
        model(np.concatenate([-m[:-8], m[-8:]]))
    bad = m.copy()
    bad[-1] = -1.0
    with pytest.raises(SolverDiverged, match=r"contact impedance must be positive.*value 7 is -1"):
        model(bad)
    assert np.isfinite(model(m)).all()
    with pytest.raises(ShapeError):
        model(m[:-1])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"frequency": 1e5, "difference": True},
        {"model": "continuum", "modes": 3},
        {"element": "P2", "domain": {"kind": "ellipse"}},
    ],
)
def test_what_is_observed_of_a_solution_is_what_the_model_predicts(settings):
    problem = make(**settings)
    m, sensors = draw(problem), problem.sensors("all")
    fields = problem.solve(m, level=0)
    found = problem.observe(fields, sensors)
    np.testing.assert_array_equal(found, problem.forward_model(sensors)(m))
    assert fields["sigma"].sizes["node"] + len(problem.domain.electrodes) == problem.dofs(0)
    with pytest.raises(DataSchemaError, match="expected the fields of 'pdeinv solve eit'"):
        problem.observe(xr.Dataset(), sensors)


def test_a_difference_vanishes_for_the_reference_and_has_the_slope_of_the_voltages():
    reference = {"kind": "uniform", "low": 0.5, "high": 3.0}
    plain, shifted = (
        make(unknown=reference, difference=d, reference=2.0).forward_model(
            make().sensors("all")) for d in (False, True)
    )  # fmt: skip
    two, one = np.array([2.0]), np.array([1.0])
    np.testing.assert_allclose(shifted(two), 0, atol=1e-18)
    np.testing.assert_allclose(shifted(one), plain(one) - plain(two), rtol=1e-12)


def test_a_grid_covers_the_box_and_knows_what_is_inside(small):
    places = small.grid((5, 4))
    points = np.stack([places["x"], places["y"]], axis=1)
    inside = small.mask(points)
    assert points.shape == (20, 2)
    assert 0 < inside.sum() < 20
    assert (np.hypot(*points[inside].T) <= 1 + 1e-9).all()
    m = draw(small)
    values = small.grid_operator((5, 4)) @ m
    assert np.isfinite(values).all()
    assert (values > 0).all()
    with pytest.raises(ConfigError, match="expected 2 numbers"):
        small.grid((4,))
    with pytest.raises(ConfigError, match="no matrix to a grid"):
        make(unknown={"kind": "ellipses"}).grid_operator((4, 4))


def test_a_grid_over_a_solid_has_three_axes_and_nothing_for_impedances():
    cells = {"kind": "piecewise", "cells": (2, 2, 2)}
    problem = make(cells=4, domain={"kind": "disc", "depth": 0.5}, unknown=cells,
                   electrodes={"count": 4, "cells": 1, "impedance_std": 0.1})  # fmt: skip
    places = problem.grid((3, 4, 5))
    assert len(places["z"]) == 60
    assert problem.grid_operator((3, 4, 5)).shape == (60, 12)
    assert problem.mask(np.array([[0, 0, 0.1], [0, 0, 0.6], [0.9, 0.9, 0.1]])).tolist() == [
        True, False, False,
    ]  # fmt: skip


def test_fields_on_the_mesh_reach_beyond_it():
    spde = {"kind": "log-gaussian", "representation": "spde", "smoothness": 1}
    for unknown in (spde, {"kind": "elements"}):
        problem = make(unknown=unknown)
        m = draw(problem)
        values = problem.grid_operator((9, 9)) @ m
        assert m.min() - 1e-12 <= values.min() <= values.max() <= m.max() + 1e-12


def test_heart_and_lungs_stay_in_the_body_and_keep_their_ranges():
    problem = make(unknown={"kind": "heart-and-lungs"}, domain={"kind": "thorax"})
    nodes = problem.domain.mesh(1).points
    for seed in range(5):
        sigma = problem.unknown.conductivity.at(nodes)(draw(problem, seed))
        assert 0.2 < sigma.min() < 0.95
        assert 1.3 < sigma.max() < 2.7
        assert abs(np.median(sigma) - 1.0) < 0.2


def test_a_missing_mesh_file_is_an_error(tmp_path):
    problem = make(domain={"kind": "msh", "file": str(tmp_path / "none.msh")})
    with pytest.raises(DataSchemaError, match="no such mesh file"):
        problem.sensors("all")
