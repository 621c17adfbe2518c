"""Errors of estimates against truths: the numbers, on what they are taken, and what is refused."""

import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError, UnknownPlugin
from pdeinv.io import netcdf
from pdeinv.jobs.observe import make_truth
from pdeinv.jobs.score import dice, relative_l1, relative_l2, score
from pdeinv.plugins.recipe import make_problem

GRID = {"cells": 8, "unknown": {"kind": "piecewise", "cells": [2, 2]}}


def written(path, name, tables, m):
    netcdf.write(
        path, make_truth(make_problem(name, tables), np.asarray(m, float), seed=1, level=0)
    )
    return path


def test_relative_errors_leave_out_what_is_outside():
    truth, guess = np.array([[3.0, np.nan], [4.0, 0.0]]), np.array([[3.0, 100.0], [1.0, 4.0]])
    assert relative_l2(truth, guess) == pytest.approx(1.0)
    assert relative_l1(truth, guess) == pytest.approx(1.0)


def test_dice_of_overlapping_sets():
    truth, guess = np.array([2.0, 2.0, 0.0, np.nan]), np.array([2.0, 0.0, 2.0, 2.0])
    assert dice(truth, guess, 1.0) == pytest.approx(0.5)
    with pytest.raises(ConfigError, match=r"5: neither truth nor .* up to 2, choose"):
        dice(truth, guess, 5.0)
    assert dice(truth, truth, 1.0) == 1.0


def test_a_truth_scores_against_another_by_area(tmp_path):
    a = written(tmp_path / "a.nc", "darcy", GRID, [1, 1, 1, 1])
    b = written(tmp_path / "b.nc", "darcy", GRID, [1, 1, 1, 2])
    found = score(b, a, ["rel-l2", "rel-l1"], nodes=100)
    assert found["rel-l2"] == pytest.approx(0.5, abs=0.01)
    assert found["rel-l1"] == pytest.approx(0.25, abs=0.01)
    assert score(a, a) == {"rel-l2": 0.0}


def test_a_disc_counts_its_own_area_and_has_the_challenges_score(tmp_path):
    tables = {"cells": 8, "unknown": {"kind": "piecewise", "cells": [4, 4]}}
    m = np.ones(16)
    m[[5, 6]] = 0.2
    a = written(tmp_path / "a.nc", "eit", tables, m)
    b = written(tmp_path / "b.nc", "eit", tables, np.where(m < 1, 0.3, 1.1))
    found = score(b, a, ["ktc", "rel-l1"], nodes=200)
    assert found["ktc"] == pytest.approx(1.0)
    inside = np.pi - 0.5
    right = (0.5 * 0.1 + inside * 0.1) / (0.5 * 0.2 + inside)
    assert found["rel-l1"] == pytest.approx(right, rel=0.02)
    empty = written(tmp_path / "c.nc", "eit", tables, np.ones(16))
    assert score(empty, a, ["ktc"])["ktc"] < 0.51


def test_a_truth_of_ellipses_is_compared_by_its_conductivity(tmp_path):
    unknown = {"kind": "ellipses", "count": 1, "background": 1.0, "edge": 0.01}
    ellipse = [3.0, 0.1, -0.2, 0.4, 0.25, 30.0]
    a = written(tmp_path / "a.nc", "eit", {"cells": 8, "unknown": unknown}, ellipse)
    pixels = {"cells": 8, "unknown": {"kind": "piecewise", "cells": [2, 2]}}
    b = written(tmp_path / "b.nc", "eit", pixels, [1, 1, 1, 1])
    assert score(a, a) == {"rel-l2": 0.0}
    area = 0.4 * 0.25
    found = score(b, a, ["rel-l1", "dice"], threshold=2.0, nodes=200)
    assert found["rel-l1"] == pytest.approx(2 * area / (1 + 2 * area), rel=0.02)
    assert found["dice"] == 0.0


def test_a_truth_of_bumps_is_compared_by_its_contrast(tmp_path):
    small = {"cells": 4, "element": "P1", "frequencies": [0.1]}
    bump = {"kind": "bumps", "count": 1}
    a = written(tmp_path / "a.nc", "helmholtz", {**small, "unknown": bump}, [0.4, 0.5, 0.5, 0.05])
    pixels = {"kind": "piecewise", "cells": [1, 1]}
    b = written(tmp_path / "b.nc", "helmholtz", {**small, "unknown": pixels}, [1.0])
    assert score(a, a) == {"rel-l2": 0.0}
    # the integral of a exp(-r²/2s²) is 2πas²; the region is 0.6 by 0.6
    expected = 1 - 2 * np.pi * 0.4 * 0.05**2 / 0.36
    assert score(a, b, ["rel-l1"])["rel-l1"] == pytest.approx(expected, abs=1e-3)


def test_what_is_refused(tmp_path):
    a = written(tmp_path / "a.nc", "darcy", GRID, [1, 1, 1, 1])
    b = written(tmp_path / "b.nc", "darcy", {**GRID, "lengths": [2.0, 1.0]}, [1, 1, 1, 1])
    with pytest.raises(DataSchemaError, match="belong to different domains; compare files of one"):
        score(a, b)
    small = {"cells": 4, "element": "P1", "frequencies": [0.1]}
    pixels = {"kind": "piecewise", "cells": [1, 1]}
    other = written(tmp_path / "other.nc", "helmholtz", {**small, "unknown": pixels}, [1.0])
    with pytest.raises(DataSchemaError, match="is of problem 'darcy'"):
        score(a, other)
    with pytest.raises(UnknownPlugin, match="problem darcy has no metric 'rel-l3'; did you mean"):
        score(a, a, ["rel-l3"])
    with pytest.raises(UnknownPlugin, match="problem darcy has no metric 'ktc'; known: rel-l2"):
        score(a, a, ["ktc"])
    with pytest.raises(ConfigError, match="metric dice needs --threshold"):
        score(a, a, ["dice"])
    netcdf.write(tmp_path / "plain.nc", netcdf.read_dataset(a).assign_attrs(pdeinv_kind="dataset"))
    with pytest.raises(DataSchemaError, match="expected the output of 'pdeinv invert' or 'pdeinv"):
        score(tmp_path / "plain.nc", a)
    with pytest.raises(DataSchemaError, match="expected the output of 'pdeinv solve', got"):
        score(a, tmp_path / "plain.nc")


def test_a_plane_is_not_compared_with_a_line(tmp_path):
    few, flat = {"cells": 12, "time": {"steps": 2}}, {"tissue": {"kind": "homogeneous"}}
    line = written(tmp_path / "a.nc", "tumor", {**few, **flat, "lengths": [60.0]}, [1, 0.08, 30])
    plane = {**few, **flat, "lengths": [60.0, 60.0]}
    b = written(tmp_path / "b.nc", "tumor", plane, [1, 0.08, 30, 30])
    with pytest.raises(DataSchemaError, match=r"b\.nc belongs to a body over x, y and .* over x;"):
        score(b, line)
