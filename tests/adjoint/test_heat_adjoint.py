"""Derivatives of the heat model for every unknown, scheme and way to keep the states."""

import numpy as np
import pytest
from heat_sides import BOUNDARY

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.problems.heat import Heat, HeatConfig

UNKNOWNS = {
    "initial state": {"kind": "initial-state"},
    "source": {"kind": "source", "profile": "exp(-t)"},
    "conductivity": {"kind": "conductivity"},
    "conductivity by cells": {
        "kind": "conductivity",
        "prior": {"kind": "piecewise", "cells": (2, 3), "mean": -3.0, "std": 0.5},
    },
    "conductivity on a mesh": {
        "kind": "conductivity",
        "prior": {
            "kind": "log-gaussian",
            "representation": "spde",
            "smoothness": 1,
            "mean": -3.0,
            "std": 0.5,
            "grid": (7, 7),
        },
    },
    "moving sources": {"kind": "point-sources", "count": 2, "speed": 0.3, "width": 0.15},
    "resting source": {"kind": "point-sources", "width": 0.2},
    "heat transfer": {"kind": "robin", "side": "top"},
    "flux": {"kind": "flux", "side": "right", "knots": 17},
}
LINEAR = {"initial state", "source", "flux"}
SENSORS = "grid:3x2@0.05:1:7"


def setting(unknown, **more):
    time = {"steps": 12, "scheme": more.pop("scheme", "crank-nicolson"), **more.pop("time", {})}
    table = {
        "cells": 6,
        "boundary": BOUNDARY,
        "source": "x*t + 1",
        "initial": "x",
        "unknown": UNKNOWNS[unknown],
        "time": time,
        **more,
    }
    return Heat(HeatConfig.model_validate(table))


def passes(problem, name, sensors=SENSORS):
    prior, model = problem.prior(), problem.forward_model(problem.sensors(sensors))
    rng = np.random.default_rng(0)
    xi = rng.standard_normal(prior.dim)
    for subject, where in ((model, prior.unwhiten(xi)), (WhitenedModel(prior, model), xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        found = taylor_test(subject, where, rng)
        assert found.slope >= 1.9
        if subject is not model or name in LINEAR:
            assert found.linear == (name in LINEAR)
    assert model.linear == (name in LINEAR)


@pytest.mark.parametrize("scheme", ["implicit-euler", "crank-nicolson", "bdf2"])
@pytest.mark.parametrize("unknown", UNKNOWNS)
def test_tangent_and_adjoint_match_each_other_and_the_model(unknown, scheme):
    passes(setting(unknown, scheme=scheme), unknown)


@pytest.mark.parametrize("element", ["P2", "Q1", "Q2"])
@pytest.mark.parametrize("unknown", ["conductivity", "flux", "moving sources"])
def test_so_do_those_of_other_elements(unknown, element):
    passes(setting(unknown, element=element, scheme="bdf2"), unknown)


@pytest.mark.parametrize("lengths", [(2.0,), (1.0, 1.0, 0.5)], ids=["interval", "box"])
@pytest.mark.parametrize("unknown", ["initial state", "source", "conductivity", "moving sources"])
def test_so_do_those_in_other_dimensions(unknown, lengths):
    boundary = {"right": BOUNDARY["right"], "left": BOUNDARY["left"]}
    passes(setting(unknown, lengths=lengths, cells=4, boundary=boundary), unknown, "grid:2@0.3:1:4")


@pytest.mark.parametrize("unknown", ["conductivity", "heat transfer"])
@pytest.mark.parametrize("scheme", ["crank-nicolson", "bdf2"])
def test_recomputed_states_give_the_same_bits_as_stored_ones(unknown, scheme):
    """49 nodes: 9 kB holds 22 states of 33, so that the adjoint recomputes segments."""
    values = []
    for memory in (512.0, 0.009):
        problem = setting(unknown, scheme=scheme, time={"memory_mb": memory, "steps": 32})
        model = problem.forward_model(problem.sensors(SENSORS))
        m = problem.prior().unwhiten(np.full(problem.prior().dim, 0.3))
        at = model.linearize(m)
        w = np.random.default_rng(1).standard_normal(len(at.value))
        values.append((at.value, at.vjp(w), at.jvp(m)))
        assert (model._segment < 32) == (memory < 1)
    for stored, recomputed in zip(*values, strict=True):
        np.testing.assert_array_equal(stored, recomputed)


def test_derivatives_stay_valid_after_solves_at_other_unknowns():
    problem = setting("conductivity")
    prior, model = problem.prior(), problem.forward_model(problem.sensors(SENSORS))
    one, two = prior.unwhiten(np.random.default_rng(0).standard_normal((2, prior.dim)))
    at = model.linearize(one)
    w = np.ones(len(at.value))
    first, along = at.vjp(w), at.jvp(two)
    model(two)
    model.linearize(two).vjp(w)
    np.testing.assert_array_equal(at.vjp(w), first)
    np.testing.assert_array_equal(at.jvp(two), along)


def test_an_adjoint_that_forgets_the_past_average_is_caught(monkeypatch):
    """Negative control: Crank-Nicolson's operator acts on the mean of two states."""
    problem = setting("conductivity")
    model = problem.forward_model(problem.sensors(SENSORS))
    system = model.discretisation.system
    m, rng = problem.prior().unwhiten(np.zeros(problem.prior().dim)), np.random.default_rng(0)
    assert dot_product_test(model, m, rng) <= 1e-10
    at = model.linearize(m)
    dm, w = rng.standard_normal(m.size), rng.standard_normal(at.value.size)
    forward = w @ at.jvp(dm)
    monkeypatch.setattr(system, "average", lambda _n, now, _before: now)
    assert abs(forward - dm @ at.vjp(w)) > 1e-4 * abs(forward)
