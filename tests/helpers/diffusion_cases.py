"""Small problems and fields that learned priors are tested with."""

import numpy as np

from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.plugins.recipe import make_problem

GAUSSIAN = {"cells": [8, 8], "unknown": {"kind": "log-gaussian", "grid": [9, 9], "modes": 6}}
PHASES = {"cells": [8, 8], "unknown": {"kind": "two-phase", "grid": [9, 9]}}
SMALL = {"epochs": 20, "width": 8, "scales": 2, "batch_size": 16, "learning_rate": 4e-3}


def drawn(config, n, name="darcy"):
    """Fields of a prior; their data are any numbers, since none counts."""
    problem = make_problem(name, config)
    prior, sensors = problem.prior(), problem.sensors("grid:2x2")
    rng = np.random.default_rng(3)
    return problem, TrainingSet(
        problem=name,
        problem_config=problem.config.model_dump(mode="json"),
        observed=problem.observed,
        sensors=sensors,
        xi=rng.standard_normal((n, prior.dim)),
        values=rng.standard_normal((n, 4)),
        prior_probe=prior_probe(prior),
        level=0,
        digest="0" * 64,
        coefficient=None,
        field=None,
        axes={},
        n_failed=0,
    )
