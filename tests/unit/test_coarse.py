"""Coarse models that are the problem solved in another way."""

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.errors import ConfigError
from pdeinv.jobs.two_level.rounds import RoundsConfig, learner
from pdeinv.plugins.coarse import CoarseConfig
from pdeinv.plugins.recipe import make_problem

TUMOR = {"cells": 24, "time": {"steps": 8}}


def test_the_level_follows_from_what_is_named():
    assert CoarseConfig().level == -1
    assert CoarseConfig(coarse_level=-2).level == -2
    assert CoarseConfig(coarse_problem={"degree": 3}).level == 0
    with pytest.raises(ConfigError, match="coarse_level = 0 is the reference model itself"):
        parse(CoarseConfig, {"coarse_level": 0}, "surrogate")


def test_keys_of_the_problem_are_replaced():
    problem = make_problem("tumor", TUMOR)
    sensors = problem.sensors("grid:6")
    coarse = CoarseConfig(coarse_problem={"solver": "finite-differences"})
    other = make_problem("tumor", {**TUMOR, "solver": "finite-differences"})
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    found = coarse.coarse_model(problem, sensors)(m)
    np.testing.assert_array_equal(found, other.forward_model(sensors)(m))
    assert np.abs(found - problem.forward_model(sensors)(m)).max() > 0


def test_the_surrogate_that_is_trained_has_the_same_coarse_model():
    keys = {"coarse_problem": {"solver": "finite-differences"}}
    _, config = learner(RoundsConfig(**keys))
    assert (config.coarse_problem, config.level) == (keys["coarse_problem"], 0)


@pytest.mark.parametrize(("keys", "message"), [
    ({"modl": "deepwave"}, "modl"),
    ({"unknown": {"std": 0.3}}, "coarse_problem changes the prior"),
])  # fmt: skip
def test_other_unknowns_are_refused(keys, message):
    problem = make_problem("seismic", {})
    with pytest.raises(ConfigError, match=message):
        CoarseConfig(coarse_problem=keys).coarse_model(problem, problem.sensors("all"))
