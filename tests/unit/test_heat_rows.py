"""Rows of heat: bits of a row alone, data and derivatives of single calls."""

import gc

import numpy as np
import pytest
from heat_sides import BOUNDARY
from promise_of_rows import assert_rows_keep_their_promise

from pdeinv.fem.tiled import KEPT_BYTES
from pdeinv.kernels import build
from pdeinv.kernels.tiles import lanes
from pdeinv.model.forward import Capability
from pdeinv.problems.heat import Heat, HeatConfig

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

UNKNOWNS = {
    "initial state": {"kind": "initial-state"},
    "source": {"kind": "source", "profile": "exp(-t)"},
    "flux": {"kind": "flux", "side": "right", "knots": 17},
    "conductivity": {"kind": "conductivity"},
    "heat transfer": {"kind": "robin", "side": "top"},
}
NEGATIVE = {"conductivity": -1.0, "heat transfer": -1.0}


def setting(unknown, n=19, **more):
    time = {"steps": 12, "scheme": more.pop("scheme", "crank-nicolson"), **more.pop("time", {})}
    table = {"cells": 6, "boundary": BOUNDARY, "source": "x*t + 1", "initial": "x", "time": time}
    problem = Heat(HeatConfig.model_validate({**table, "unknown": unknown, **more}))
    prior, rng = problem.prior(), np.random.default_rng(1)
    ms = np.array([prior.unwhiten(x) for x in 0.5 * rng.standard_normal((n, prior.dim))])
    return problem.forward_model(problem.sensors("grid:3x2@0.05:1:7")), ms


@pytest.mark.parametrize("scheme", ["implicit-euler", "crank-nicolson", "bdf2"])
@pytest.mark.parametrize("name", UNKNOWNS)
def test_a_row_has_its_own_bits_and_those_of_single_calls_to_rounding(name, scheme):
    model, ms = setting(UNKNOWNS[name], scheme=scheme)
    fails = np.full(ms.shape[1], NEGATIVE.get(name, np.nan))
    assert_rows_keep_their_promise(model, ms, fails)


@pytest.mark.parametrize("element", ["P2", "Q2"])
def test_so_does_one_of_other_elements(element):
    assert_rows_keep_their_promise(*setting(UNKNOWNS["conductivity"], element=element))


@pytest.mark.parametrize("name", ["conductivity", "initial state"])
def test_so_does_one_whose_boundary_is_held_at_a_constant(name):
    boundary = {"left": {"kind": "dirichlet", "value": 2.0}}
    assert_rows_keep_their_promise(*setting(UNKNOWNS[name], boundary=boundary))


@pytest.mark.parametrize("scheme", ["crank-nicolson", "bdf2"])
def test_recomputed_states_give_the_same_bits_as_stored_ones(scheme):
    """49 nodes: 9 kB a lane hold 22 states of 33, so that the adjoint recomputes."""
    values = []
    for memory in (512.0, 0.009 * lanes()):
        time = {"memory_mb": memory, "steps": 32}
        model, ms = setting(UNKNOWNS["conductivity"], scheme=scheme, time=time)
        at = model.linearize_rows(ms)
        w = np.random.default_rng(1).standard_normal(at.values.shape)
        values.append((at.values, at.vjp(w), at.jvp(ms)))
        assert (model._tiled.tile._segment < 32) == (memory < 1)
        # of the tiles all or none are kept
        assert (5 * model._tiled.tile.bytes(lanes()) < KEPT_BYTES) == (memory > 1)
    for stored, recomputed in zip(*values, strict=True):
        np.testing.assert_array_equal(stored, recomputed)


def test_states_use_the_memory_of_those_before_them():
    """Without a garbage collection: fresh pages would cost as much as the solves."""
    model, ms = setting(UNKNOWNS["conductivity"], n=lanes())
    free = model._tiled.tile._spare._spare._free
    gc.disable()
    try:
        for _ in range(3):
            at = model.linearize_rows(ms)
            at.vjp(at.values)
            del at
        assert [len(pieces) for pieces in free.values()] == [1]
        model.rows(ms)
        assert [len(pieces) for pieces in free.values()] == [1]
    finally:
        gc.enable()


def test_values_alone_keep_no_states():
    model, ms = setting(UNKNOWNS["conductivity"], n=lanes())
    model.rows(ms)
    assert not model._tiled.tile._spare._spare._free


def test_sources_at_points_take_no_rows():
    """Their loads cost more than the steps, so that rows would not pay."""
    model, _ = setting({"kind": "point-sources", "width": 0.2})
    assert Capability.ROWS not in model.capabilities


def test_a_matrix_that_is_too_extreme_fails_alone():
    model, ms = setting(UNKNOWNS["conductivity"])
    whole, broken = model.rows(ms), ms.copy()
    broken[2, ::2] = 1e308
    found = model.rows(broken)
    assert list(found.failures) == [2]
    sound = [i for i in range(len(ms)) if i != 2]
    np.testing.assert_array_equal(found.values[sound], whole.values[sound])
