"""The tank of the challenge as a preset, and made-up bodies to put into it."""

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.errors import ConfigError
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.eit import EitConfig
from pdeinv.problems.eit.ktc import CONDUCTIVE, RESISTIVE, pixels
from pdeinv.problems.eit.phantoms import (
    PHANTOMS,
    Ellipse,
    Phantom,
    Polygon,
    phantom,
    tank,
)
from pdeinv.problems.eit.setup.presets import ktc_drives, ktc_removed
from pdeinv.rng import stream

COUNTS = {1: (76, 31), 2: (56, 29), 3: (52, 27), 4: (48, 25), 5: (44, 23), 6: (30, 21), 7: (27, 19)}


@pytest.mark.parametrize("level", COUNTS)
def test_levels_leave_electrodes_out_of_drives_and_measurements(level):
    problem = make_problem("eit", {"preset": "ktc2023", "ktc_level": level})
    sheet = problem.protocol.sheet
    assert (len(sheet.drives), len(sheet.measures)) == COUNTS[level]
    assert problem.protocol.measured.all()
    lost = list(ktc_removed(level))
    assert (sheet.drives[:, lost] == 0).all()
    assert (sheet.measures[:, lost] == 0).all()
    assert (sheet.drives.sum(axis=1) == 0).all()


def test_the_tank_of_the_preset():
    config = parse(EitConfig, {"preset": "ktc2023"}, "")
    problem = make_problem("eit", {"preset": "ktc2023"})
    places, widths = problem.domain.electrode_places()
    assert config.domain.radius == 0.115
    assert len(places) == 32
    assert widths.sum() == pytest.approx(np.pi * 0.115)
    assert np.rad2deg(np.arctan2(*places[0][::-1])) == pytest.approx(92.8125)
    assert np.rad2deg(np.arctan2(*places[1][::-1])) == pytest.approx(92.8125 + 11.25)
    assert len(ktc_drives()) == 76


def test_a_preset_gives_way_to_what_is_said_and_survives_a_round_trip():
    tables = {"preset": "ktc2023", "ktc_level": 4, "electrodes": {"impedance": 0.002}}
    config = parse(EitConfig, tables, "")
    assert config.electrodes.impedance == 0.002
    assert config.electrodes.count == 32
    assert parse(EitConfig, config.model_dump(mode="json"), "") == config


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"preset": "ktc"}, "preset: input should be 'ktc2023'"),
        ({"preset": "ktc2023", "ktc_level": 8}, "ktc_level: input should be less than or equal to"),
        ({"drive": {"pattern": {"kind": "pairs", "pairs": [[1, 1]]}}}, "pair 0 has electrode 1"),
    ],
)
def test_bad_presets_and_pairs(tables, text):
    with pytest.raises(ConfigError, match=text):
        make_problem("eit", tables)


def test_pairs_name_electrodes_that_are_there():
    problem = make_problem("eit", {"drive": {"pattern": {"kind": "pairs", "pairs": [[0, 16]]}}})
    with pytest.raises(ConfigError, match="pattern 'pairs': 16 is no electrode; they are 0 to 15"):
        _ = problem.protocol


# --- phantoms --------------------------------------------------------------------------------


def test_ellipses_and_polygons_contain_what_they_should():
    points = np.stack(np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1, 1, 401)), axis=2)
    ellipse = Ellipse((0.1, -0.2), (0.5, 0.25), 0.7)
    square = Polygon(np.array([[0, 0], [0.6, 0], [0.6, 0.4], [0.3, 0.1], [0, 0.4]]))
    cell = 0.005**2
    assert ellipse.contains(points).sum() * cell == pytest.approx(np.pi * 0.125, rel=5e-3)
    assert square.contains(points).sum() * cell == pytest.approx(0.24 - 0.5 * 0.6 * 0.3, rel=2e-2)
    turned = np.array([[0.1 + 0.45 * np.cos(0.7), -0.2 + 0.45 * np.sin(0.7)]])
    assert ellipse.contains(turned).all()
    assert not ellipse.contains(turned * [-1, 1]).any()


def test_labels_follow_the_conductivity():
    body = Phantom(1.0, ((Ellipse((0, 0), (0.3, 0.3)), 0.1), (Ellipse((0, 0), (0.1, 0.1)), 9.0)))
    places = np.array([[0.0, 0.0], [0.2, 0.0], [0.5, 0.0]])
    assert body.labels(places).tolist() == [CONDUCTIVE, RESISTIVE, 0]
    assert body.at(places).tolist() == [9.0, 0.1, 1.0]


@pytest.mark.parametrize("name", PHANTOMS)
def test_phantoms_are_drawn_by_seed_and_stay_in_the_body(name):
    places = pixels(0.115)
    outside = np.hypot(places[..., 0], places[..., 1]) > 0.95 * 0.115
    for k in range(12):
        body = phantom(name, stream(1, "truth", k), 0.115)
        assert (body.labels(places)[outside] == 0).all()
        assert (body.labels(places) != 0).mean() > 0.005
        again = phantom(name, stream(1, "truth", k), 0.115)
        np.testing.assert_array_equal(body.at(places), again.at(places))


def test_the_objects_of_a_tank_do_not_overlap():
    places = pixels(1.0)
    for k in range(12):
        shapes = [shape for shape, _ in tank(stream(2, "truth", k), 1.0).inclusions]
        assert np.sum([s.contains(places) for s in shapes], axis=0).max() == 1


@pytest.mark.parametrize("kind", ["piecewise", "elements", "log-gaussian"])
def test_a_phantom_becomes_the_unknown_of_a_problem(kind):
    tables = {"unknown": {"kind": kind}, "cells": 10}
    if kind == "piecewise":
        tables["unknown"]["cells"] = [16, 16]
    problem = make_problem("eit", tables)
    m = problem.phantom("heart-and-lungs", stream(3, "truth"))
    body = phantom("heart-and-lungs", stream(3, "truth"), 1.0)
    variable = problem.prior().space.variables[0]
    x, y = variable.coords["x"][1], variable.coords["y"][1]
    if len(variable.dims) == 2:
        x, y = (a.ravel() for a in np.meshgrid(x, y))
    np.testing.assert_array_equal(m, body.at(np.stack([x, y], axis=1)))
    assert len(np.unique(m)) == 4


def test_phantoms_that_cannot_be():
    problem = make_problem("eit", {"unknown": {"kind": "ellipses"}})
    with pytest.raises(
        ConfigError, match="a phantom needs an unknown with a conductivity at every"
    ):
        problem.phantom("tank", stream(1, "truth"))
    with pytest.raises(ConfigError, match="unknown phantom 'lungs'; known: tank, heart-and-lungs"):
        problem.phantom("lungs", stream(1, "truth"))
