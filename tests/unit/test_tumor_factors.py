"""Smooth fields that D and ρ are multiplied by."""

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.plugins.aligned import Measured
from pdeinv.problems.tumor import Tumor, TumorConfig

FIELD = {"std": 0.4, "length": 40.0, "modes": 6, "nodes": 4}
PLANE = {
    "lengths": [60.0, 60.0],
    "cells": 24,
    "tissue": {"kind": "homogeneous"},
    "time": {"final": 60.0, "steps": 30},
}
BOTH = {"diffusivity_factor": FIELD, "growth_factor": FIELD}
SOLVERS = ("finite-elements", "finite-differences")
SCALARS = np.array([0.6, 0.08, 28.0, 31.0])


def made(fields, **more):
    return Tumor(parse(TumorConfig, {**PLANE, "unknown": fields, **more}, "problem"))


def with_factors(spread, pace):
    """m of factors on D and on ρ, at the 16 nodes each."""
    return np.concatenate([SCALARS, np.broadcast_to(spread, 16), np.broadcast_to(pace, 16)])


@pytest.mark.parametrize("solver", SOLVERS)
def test_factors_that_are_the_same_everywhere_scale_the_rates(solver):
    problem, plain = made(BOTH, solver=solver), made({}, solver=solver)
    sensors = plain.sensors("grid:9")
    found = problem.forward_model(sensors)(with_factors(1.5, 0.7))
    wanted = plain.forward_model(sensors)(SCALARS * [1.5, 0.7, 1, 1])
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_both_models_agree_where_rates_differ_from_place_to_place():
    rng, found = np.random.default_rng(0), []
    m = with_factors(*np.exp(0.4 * rng.standard_normal((2, 16))))
    for solver in SOLVERS:
        problem = made(BOTH, solver=solver, cells=60, time={"final": 60.0, "steps": 60})
        found.append(problem.forward_model(problem.sensors("grid:9"))(m))
    assert np.abs(found[0] - found[1]).max() < 0.03
    assert np.ptp(found[0]) > 0.5


def test_cells_grow_where_the_factor_is_large():
    """The right half of the box has more than twice the rate of the left one."""
    problem = made({"growth_factor": {**FIELD, "nodes": 5}}, solver="finite-differences")
    factor = np.tile(np.array([0.6, 0.6, 1.0, 1.4, 1.4]), 5)
    m = np.concatenate([[0.6, 0.08, 30.0, 30.0], factor])
    c = problem.forward_model(problem.sensors("list:20,30;40,30"))(m)
    assert c[1] > 1.4 * c[0]


@pytest.mark.parametrize("solver", SOLVERS)
def test_bounds_hold(solver):
    problem = made(BOTH, solver=solver, time={"final": 60.0, "steps": 3})
    rng = np.random.default_rng(1)
    c = problem.solve(with_factors(*np.exp(rng.standard_normal((2, 16)))), level=0)["c"]
    assert float(c.min()) >= 0
    assert float(c.max()) <= 1


def test_the_prior_is_that_of_the_configuration():
    prior = made(BOTH).prior()
    assert prior.dim == 4 + 6 + 6
    rng = np.random.default_rng(2)
    drawn = np.log(prior.unwhiten(rng.standard_normal((2000, prior.dim)))[:, 4:20])
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(0.4, rel=0.1)  # of 6 modes, nearly all of the variance
    assert "diffusivity_factor" in prior.space.names


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_factors_that_are_none_are_refused(bad):
    problem = made(BOTH, solver="finite-differences")
    model = problem.forward_model(problem.sensors("grid:5"))
    with pytest.raises(SolverDiverged):
        model(with_factors(bad, 1.0))


def test_lengths_below_the_grid_are_refused():
    with pytest.raises(ConfigError, match="raise the number of grid nodes or the length"):
        made({"growth_factor": {"length": 5.0, "nodes": 4}}).prior()


def test_fields_are_not_carried_to_another_brain():
    here, there = made(BOTH, solver=SOLVERS[1]), made({}, solver=SOLVERS[1])
    sensors = there.sensors("grid:5")
    with pytest.raises(DataSchemaError, match="belong to one brain"):
        here.aligned(Measured(sensors, np.zeros(25), None), there, sensors)
