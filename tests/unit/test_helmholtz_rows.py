"""Rows of Helmholtz: bits of a row alone, data and derivatives of single calls, and the guard."""

import numpy as np
import pytest
from promise_of_rows import assert_rows_keep_their_promise, close

from pdeinv.errors import SolverDiverged
from pdeinv.fem import guarded_tiles, surroundings, wave_tiles
from pdeinv.kernels import build
from pdeinv.kernels.tiles import lanes
from pdeinv.model.forward import Capability
from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

SMALL = {"cells": 6, "frequencies": [1.0]}
IMPEDANCE, WALLS = {"truncation": {"kind": "impedance"}}, {"truncation": {"kind": "dirichlet"}}
WEAK = {"kind": "gaussian", "length": 0.3, "std": 0.1}
"""Far from the contrasts at which waves between walls resonate."""
SETTINGS = {
    "layer": {},
    "impedance": IMPEDANCE,
    "walls": {**WALLS, "unknown": WEAK},
    "a region between walls": {**WALLS, "region": [0.2, 0.7, 0.2, 0.7], "taper": 0.1},
    "flux through walls": {**WALLS, "measure": "normal-derivative", "unknown": WEAK},
    "two frequencies": {"frequencies": [0.5, 1.0], "total": True},
    "index": {"quantity": "index", "unknown": {"kind": "log-gaussian", "std": 0.2}},
    "point sources": {"incident": {"kind": "point", "count": 3}},
    "bumps": {"unknown": {"kind": "bumps"}},
    "far field": {"measure": "far-field"},
    "integrals": {"receivers": "integrate", "total": True},
    "squares": {"element": "Q2", "cells": 9},
}


def setting(n=19, sensors=None, **settings):
    problem = Helmholtz(HelmholtzConfig.model_validate({**SMALL, **settings}))
    prior, rng = problem.prior(), np.random.default_rng(1)
    ms = np.array([prior.unwhiten(x) for x in rng.standard_normal((n, prior.dim))])
    return problem.forward_model(problem.sensors(sensors or problem.default_sensors)), ms


def bands(model):
    return model._tiled.tile._bands


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_a_row_has_its_own_bits_and_those_of_single_calls_to_rounding(settings):
    model, ms = setting(**settings)
    assert_rows_keep_their_promise(model, ms, np.full(ms.shape[1], np.nan))


def test_64_rows_are_right_and_have_their_bits():
    assert_rows_keep_their_promise(*setting(n=64))


def test_a_model_that_begins_anew_gives_the_bits_of_one_that_has_worked():
    """A resumed run builds its model again."""
    model, ms = setting()
    spoilt = ms.copy()
    spoilt[3] = 1e308
    model.rows(spoilt)
    model.linearize_rows(ms[5:9]).vjp(np.ones((4, model.d_space.size)))
    worked, fresh = model.linearize_rows(ms), setting()[0].linearize_rows(ms[8:])
    np.testing.assert_array_equal(worked.values[8:], fresh.values)
    np.testing.assert_array_equal(worked.jvp(ms)[8:], fresh.jvp(ms[8:]))


def test_receivers_inside_and_around_the_contrast_agree_with_single_calls():
    for sensors in ("list:0.5,0.5;0.25,0.6;0.9,0.05;0.02,0.97", "all"):
        assert_close_to_single_calls(*setting(n=3, sensors=sensors))


def assert_close_to_single_calls(model, ms):
    for m, row in zip(ms, model.rows(ms).values, strict=True):
        close(row, model(m))


def test_a_contrast_that_is_not_finite_fails_alone():
    model, ms = setting()
    whole, broken = model.rows(ms), ms.copy()
    broken[2] = 1e308
    found = model.rows(broken)
    assert list(found.failures) == [2]
    assert "not finite" in found.failures[2]
    sound = [i for i in range(len(ms)) if i != 2]
    np.testing.assert_array_equal(found.values[sound], whole.values[sound])


def test_what_lies_around_the_contrast_is_eliminated():
    """Most of the unknowns: a row of a batch would cost four times as much with them."""
    model, _ = setting()
    (band,) = bands(model)
    assert band.equation.points.values.shape[1] < 0.4 * band.band.system.rule.n


def test_nothing_is_eliminated_where_the_surroundings_resonate(monkeypatch):
    model, ms = setting()
    right = model.rows(ms).values
    monkeypatch.setattr(surroundings, "GROWTH", 0.5)
    model, _ = setting()
    close(model.rows(ms).values, right)
    (band,) = bands(model)
    assert band.equation.points.values.shape[1] == band.band.system.rule.n


def test_a_model_builds_nothing_for_rows_before_it_is_asked(monkeypatch):
    model, ms = setting()
    monkeypatch.setattr(wave_tiles, "inner_part", None)
    assert Capability.ROWS in model.capabilities
    model.linearize(ms[0]).vjp(np.zeros(model.d_space.size))


def near_breakdown(model, ms, relative):
    """An unknown at which the first pivot is that part of its entry, but the matrix is sound.

    The first column's own entry is K − k² ∫ (1 + q) φ², which some multiple of a contrast cancels.
    """
    (band,) = bands(model)
    equation, tile = band.equation, model._tiled.tile
    cholesky = equation.solver._cholesky
    entry = cholesky._layout.arrays["pivot"][0]
    fixed = equation._fixed[entry, 0, 0]
    per_unit = (
        equation._k2
        * equation.points.mass.tile(tile._coefficient.values(np.ones((len(ms[0]), 1))))[entry, 0]
    )
    return np.full(len(ms[0]), (1 - relative) * fixed / per_unit)


@pytest.fixture(name="walls")
def fixture_walls():
    """Between walls without a taper the first pivot is that of a single node."""
    return setting(**WALLS, unknown={"kind": "gaussian", "length": 0.3})


def test_a_row_whose_factor_breaks_down_is_solved_alone_with_pivots(walls):
    model, ms = walls
    whole, planted = model.rows(ms), ms.copy()
    planted[2] = near_breakdown(model, ms, 0.0)
    found = model.rows(planted)
    assert not found.failures
    np.testing.assert_array_equal(found.values[2], model(planted[2]))
    sound = [i for i in range(len(ms)) if i != 2]
    np.testing.assert_array_equal(found.values[sound], whole.values[sound])
    at = model.linearize_rows(planted)
    w = np.random.default_rng(2).standard_normal(found.values.shape)
    one = model.linearize(planted[2])
    np.testing.assert_array_equal(at.vjp(w)[2], one.vjp(w[2]))
    np.testing.assert_array_equal(at.jvp(planted)[2], one.jvp(planted[2]))
    for chosen in ([2], [1, 2], list(range(7)), np.random.default_rng(0).permutation(len(ms))):
        np.testing.assert_array_equal(model.rows(planted[chosen]).values, found.values[chosen])


@pytest.mark.parametrize("relative", [1e-6, 1e-10, 1e-14])
def test_a_small_pivot_spoils_a_row_without_the_guard_and_not_with_it(walls, relative, monkeypatch):
    model, ms = walls
    planted = np.stack([ms[0], near_breakdown(model, ms, relative), ms[1]])
    right = model(planted[1])
    close(model.rows(planted).values[1], right)
    if relative > 1e-8:
        return
    monkeypatch.setattr(guarded_tiles, "STEPS", 0)
    bands(model)[0].equation.solver._bound = np.inf
    wrong = model.rows(planted).values[1]
    assert not np.abs(wrong - right).max() < 1e-10 * np.abs(right).max()


def test_a_row_that_is_lost_alone_as_well_says_why(walls, monkeypatch):
    model, ms = walls
    planted = ms.copy()
    planted[2] = near_breakdown(model, ms, 0.0)

    def singular(m):
        raise SolverDiverged("the matrix cannot be factored")

    monkeypatch.setattr(model, "solved", singular)
    found = model.rows(planted)
    assert found.failures == {2: "the matrix cannot be factored"}
    at = model.linearize_rows(planted)
    w = np.ones((len(ms), model.d_space.size))
    assert np.isnan(at.vjp(w)[2]).all()
    assert np.isfinite(np.delete(at.vjp(w), 2, axis=0)).all()


def test_the_memory_that_is_foretold_holds_what_a_model_keeps():
    for element, cells in (("P3", 12), ("Q2", 24), ("P1", 60)):
        problem = Helmholtz(HelmholtzConfig.model_validate({"element": element, "cells": cells}))
        model = problem.forward_model(problem.sensors("ring:8"))
        held = 2 * model._tiled.tile.bytes(lanes())
        assert held < problem.memory_estimate() < problem.memory_estimate(1) / 3
        assert problem.memory_estimate() < 40 * held
