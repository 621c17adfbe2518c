"""Whole runs of two-level by default settings on posteriors that have misled it."""

import numpy as np
import pytest

import pdeinv

NOISE = np.array([0.3, 0.6])


def folded(m):
    """Data a² and b + 0.3 a: modes near a = 1.5 and a = -1.5, three quarters of the mass in one."""
    return np.array([m[0] ** 2, m[1] + 0.3 * m[0]])


def folded_jacobian(m):
    return np.array([[2 * m[0], 0.0], [0.3, 1.0]])


def rough(m):
    return np.array([0.95 * m[0] ** 2 + 0.05 * m[0], 0.9 * m[1] + 0.3 * m[0]])


def rough_jacobian(m):
    return np.array([[1.9 * m[0] + 0.05, 0.0], [0.3, 0.9]])


def two_modes():
    prior = pdeinv.priors.normal("m", mean=[0.307, 0.0], std=1.0)
    coarse = pdeinv.own_model(rough, prior=prior, jacobian=rough_jacobian)
    return pdeinv.own_model(folded, prior=prior, jacobian=folded_jacobian, coarse=coarse)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_both_modes_have_their_weights(seed):
    data = np.array([2.25, 0.3]), NOISE
    result = pdeinv.invert(data, model=two_modes(), engine="two-level", seed=seed)
    assert result.attrs["pdeinv_converged"] == 1
    xi = result["unconstrained_posterior"]["xi"].values[..., 0]
    assert abs(np.mean(xi + 0.307 > 0) - 0.75) < 0.1
    spent = result.attrs["pdeinv_n_forward"] + 2 * result.attrs["pdeinv_n_adjoint"]
    assert spent < 20_000
    assert result["modes"].sizes["mode"] == 2


@pytest.mark.slow
def test_a_mode_that_no_chain_may_jump_to_is_no_success():
    """Negative control: without searches chains stay in the mode that they started in."""
    short = {"draws": 300, "searches": 0, "subchain": 3}
    data = np.array([2.25, 0.3]), 0.2 * NOISE
    training = {"surrogate": {"max_rounds": 3}}
    result = pdeinv.invert(
        data, model=two_modes(), engine="two-level", seed=1, tables=training, **short
    )
    xi = result["unconstrained_posterior"]["xi"].values[..., 0]
    sides = np.mean(xi + 0.307 > 0, axis=1)
    assert {0.0, 1.0} <= set(sides)
    assert result.attrs["pdeinv_converged"] == 0


def heat():
    """One source left or right of a line of sensors that sees no side."""
    problem = pdeinv.problem(
        "heat",
        cells=8,
        element="Q1",
        conductivity=0.05,
        time={"final": 1.0, "steps": 4},
        unknown={
            "kind": "point-sources", "count": 1, "width": 0.1, "speed": 0.0,
            "low": [0.1, 0.1], "high": [0.8, 0.9], "strength": {"mean": 0.0, "std": 0.5},
        },
    )  # fmt: skip
    truth = pdeinv.solve(problem, m=np.array([0.3, 0.4, 1.0]), seed=1)
    sensors = "list:0.5,0.2;0.5,0.4;0.5,0.6;0.5,0.8@0.2:1:5"
    return pdeinv.observe(truth, sensors=sensors, noise_rel=0.02, seed=2)


@pytest.mark.slow
def test_a_source_left_or_right_is_found_on_both_sides_or_not_said_to_be_known():
    result = pdeinv.invert(heat(), engine="two-level", seed=3, draws=300)
    x = result["posterior"]["start_x"].values
    weight = np.mean(x < 0.5)
    assert result.attrs["pdeinv_converged"] == 0 or abs(weight - 0.5) < 0.1
    assert 0.05 < weight < 0.95


@pytest.mark.slow
def test_a_hundred_cells_end_with_a_result_that_names_what_failed():
    """10 x 10 log-normal cells of standard deviation 2: once it died after all its solves."""
    unknown = {"kind": "piecewise", "cells": [10, 10], "mean": 4.0, "std": 2.0}
    problem = pdeinv.problem("darcy", cells=40, element="Q1", source=10.0, unknown=unknown)
    truth = pdeinv.solve(problem, seed=20)
    seen = pdeinv.observe(truth, sensors="grid:12x12", noise_std=0.05, seed=21)
    short = {"draws": 20, "warmup": 5, "tuning": 100, "subchain": 2}
    training = {"surrogate": {"max_rounds": 3, "moves": 150, "target_sd": 3.0}}
    result = pdeinv.invert(seen, engine="two-level", seed=2, tables=training, **short)
    assert result.attrs["pdeinv_converged"] == 0
    message = result.attrs["pdeinv_message"]
    assert "surrogate" in message
    assert np.isfinite(result["unconstrained_posterior"]["xi"].values).all()
