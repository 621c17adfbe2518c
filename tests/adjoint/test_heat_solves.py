"""What derivatives in time cost in solves, with all states kept and with checkpoints."""

import math

import numpy as np
import pytest

from pdeinv.fem import compiled
from pdeinv.fem.linear import FilledSystem
from pdeinv.fem.trajectory import segment_length
from pdeinv.plugins.recipe import make_problem

STEPS = 24
SCHEMES = ["implicit-euler", "crank-nicolson", "bdf2"]


def heat(memory, scheme="implicit-euler"):
    prior = {"kind": "log-gaussian", "mean": -3.0, "modes": 3, "length": 0.5, "grid": [9, 9]}
    config = {
        "cells": 8,
        "initial": "sin(pi*x)*sin(pi*y)",
        "time": {"steps": STEPS, "memory_mb": memory, "scheme": scheme},
        "unknown": {"kind": "conductivity", "prior": prior},
    }
    problem = make_problem("heat", config)
    return problem, problem.forward_model(problem.sensors("grid:3@0.25:1:4"))


@pytest.fixture
def solves(monkeypatch):
    """How many systems have been solved, by what solves them."""
    count, solve = [0], FilledSystem.solve

    def counted(self, b):
        count[0] += 1
        return solve(self, b)

    monkeypatch.setattr(FilledSystem, "solve", counted)
    monkeypatch.setattr(compiled, "LIMIT", 0)
    return count


def spent(solves, action):
    before = solves[0]
    found = action()
    return found, solves[0] - before


SMALL = 8 * 81 * (STEPS + 1) / 1e6 * 0.7
"""Megabytes that do not hold all states of 81 unknowns."""


def segment():
    size = segment_length(STEPS, 81, 1e6 * SMALL)
    assert size < STEPS
    return size


@pytest.mark.parametrize("scheme", SCHEMES)
def test_checkpoints_cost_one_run_less_the_last_segment(solves, scheme):
    problem, model = heat(SMALL, scheme)
    m = problem.prior().unwhiten(np.array([0.3, -0.5, 0.8]))
    at, forward = spent(solves, lambda: model.linearize(m))
    assert forward == STEPS
    last = STEPS - segment() * (math.ceil(STEPS / segment()) - 1)
    w = np.ones(len(at.value))
    _, backward = spent(solves, lambda: at.vjp(w))
    assert backward == STEPS + STEPS - last
    # the walk ended at the first segment, where one forward begins
    _, tangent = spent(solves, lambda: at.jvp(m))
    assert tangent == STEPS + STEPS - segment()


def test_all_states_cost_no_further_run(solves):
    problem, model = heat(512)
    m = problem.prior().unwhiten(np.array([0.3, -0.5, 0.8]))
    at, forward = spent(solves, lambda: model.linearize(m))
    _, backward = spent(solves, lambda: at.vjp(np.ones(len(at.value))))
    assert (forward, backward) == (STEPS, STEPS)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_data_and_derivatives_are_those_of_all_states_to_the_last_bit(scheme):
    rng = np.random.default_rng(0)
    (problem, few), (_, all_of) = heat(SMALL, scheme), heat(512, scheme)
    m = problem.prior().unwhiten(rng.standard_normal(3))
    one, other = few.linearize(m), all_of.linearize(m)
    np.testing.assert_array_equal(one.value, other.value)
    np.testing.assert_array_equal(one.value, few(m))
    for _ in range(2):  # backwards from the last segment, then from the first
        w, dm = rng.standard_normal(len(one.value)), rng.standard_normal(len(m))
        np.testing.assert_array_equal(one.vjp(w), other.vjp(w))
        np.testing.assert_array_equal(one.jvp(dm), other.jvp(dm))
