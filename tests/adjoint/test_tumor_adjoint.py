"""Derivatives of the tumor model: every solver, dimension, kind of data, unknown duration."""

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.problems.tumor import Tumor, TumorConfig

SOLVERS = ("finite-elements", "finite-differences")
PLANE = {"cells": 24, "time": {"steps": 12}}
SOLID = {"lengths": [180.0, 150.0, 130.0], "cells": [12, 10, 8], "time": {"steps": 6}}
CASES = {
    "line": ({"lengths": [60.0], "cells": 20, "tissue": {"kind": "homogeneous"},
              "time": {"steps": 7}}, "grid:9"),
    "plane": (PLANE, "grid:9"),
    "two times": (PLANE, "grid:7@33,100"),
    "voxels": ({**PLANE, "voxel": 14.0}, "grid:7"),
    "solid": (SOLID, "grid:5"),
    "duration": ({**PLANE, "unknown": {"duration": [60.0, 150.0]}}, "grid:9"),
    "duration, two times": (
        {**PLANE, "time": {"steps": 12, "window": 40.0}, "unknown": {"duration": [60.0, 150.0]}},
        "grid:7@62,100",
    ),
    "masks": ({**PLANE, "voxel": 14.0, "masks": {}}, "grid:7"),
    "masks, core known": ({**PLANE, "masks": {"core": 0.6}}, "grid:7@50,100"),
    "masks, all unknown": (
        {**PLANE, "masks": {"softness": 0.1}, "unknown": {"duration": [60.0, 150.0]}}, "grid:7",
    ),
    "masks by mm": (
        {**PLANE, "masks": {"softness_mm": 1.3, "core": 0.7}, "voxel": 14.0}, "grid:7@50,100",
    ),
    "masks by mm in space": ({**SOLID, "masks": {"softness_mm": 2.0}}, "grid:4"),
    "masks by unknown mm and PET": (
        {**PLANE, "masks": {"softness_mm": {"median": 1.3, "std": 0.5}}, "pet": {},
         "unknown": {"duration": [60.0, 150.0]}}, "grid:7",
    ),
    "PET": ({**PLANE, "pet": {}}, "grid:7"),
    "PET, gain known": ({**PLANE, "voxel": 14.0, "pet": {"gain": 0.9}}, "grid:7@50,100"),
    "masks and PET": (
        {**PLANE, "masks": {}, "pet": {}, "unknown": {"duration": [60.0, 150.0]}}, "grid:7",
    ),
    "tensor": ({**PLANE, "tensor": {"uniform": [1.6, 0.0, 0.6]}}, "grid:7"),
    "sampled faces in space": ({**SOLID, "faces": "sampled"}, "grid:5"),
    "sampled faces, tensor, factors": (
        {**PLANE, "faces": "sampled", "tensor": {"uniform": [1.6, 0.0, 0.6]},
         "unknown": {"diffusivity_factor": {"length": 80.0, "modes": 5, "nodes": 5}}},
        "grid:7",
    ),
    "factors": (
        {**PLANE, "unknown": {"diffusivity_factor": {"length": 80.0, "modes": 5, "nodes": 5},
                              "growth_factor": {"length": 90.0, "modes": 4, "nodes": 4}}},
        "grid:7",
    ),
    "factors in space": (
        {**SOLID, "unknown": {"diffusivity_factor": {"length": 99.0, "modes": 4, "nodes": 3},
                              "growth_factor": {"length": 99.0, "modes": 4, "nodes": 3}}},
        "grid:4",
    ),
    "factors on D, masks, duration": (
        {**PLANE, "masks": {"softness": 0.1}, "tensor": {"uniform": [1.6, 0.0, 0.6]},
         "unknown": {"duration": [60.0, 150.0],
                     "diffusivity_factor": {"length": 80.0, "nodes": 4, "modes": 6}}},
        "grid:7",
    ),
    "little memory": ({"cells": 24, "time": {"steps": 40, "memory_mb": 0.06}}, "grid:9"),
}  # fmt: skip


def setting(case, solver):
    table, spec = CASES[case]
    problem = Tumor(TumorConfig.model_validate({**table, "solver": solver}))
    return problem, problem.forward_model(problem.sensors(spec))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_scheme(case, solver):
    problem, model = setting(case, solver)
    prior, rng = problem.prior(), np.random.default_rng(0)
    xi = 0.5 * rng.standard_normal(prior.dim)
    for subject, where in ((model, prior.unwhiten(xi)), (WhitenedModel(prior, model), xi)):
        assert dot_product_test(subject, where, rng) <= 1e-10
        assert taylor_test(subject, where, rng).slope >= 1.9


def test_recomputed_states_give_the_same_bits():
    table, spec = CASES["little memory"]
    found = []
    for memory in (0.06, 512.0):
        time = {**table["time"], "memory_mb": memory}
        config = {**table, "time": time, "solver": "finite-differences"}
        problem = Tumor(TumorConfig.model_validate(config))
        model = problem.forward_model(problem.sensors(spec))
        at = model.linearize(np.array([0.8, 0.07, 120.0, 100.0]))
        found.append(at.vjp(np.ones(len(at.value))))
    np.testing.assert_array_equal(*found)
