"""The two inverse problems: Darcy with 49 and with 1024 unknowns."""

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.rng import stream

SEED = 20
CONFIGS = {
    49: {"cells": [28, 28], "unknown": {"kind": "piecewise", "cells": [7, 7], "std": 1.5}},
    1024: {
        "cells": [64, 64],
        "unknown": {
            "kind": "log-gaussian",
            "representation": "kl",
            "modes": 1024,
            "grid": [65, 65],
        },
    },
}


class Case:
    """A problem with data from a mesh twice as fine, 12 x 12 sensors, noise 2 % of the peak."""

    def __init__(self, unknowns):
        self.unknowns = unknowns
        self.problem = make_problem("darcy", CONFIGS[unknowns])
        self.sensors = self.problem.sensors("grid:12x12")
        truth = self.problem.prior().unwhiten(stream(SEED, "truth").standard_normal(unknowns))
        clean = self.problem.forward_model(self.sensors, 1)(truth)
        self.noise = Noise(np.full(len(clean), 0.02 * np.abs(clean).max()))
        self.values = clean + self.noise.sample(stream(SEED, "noise"))

    def posterior(self, surrogate=None, **more):
        """On the coarse one of the two meshes."""
        found = PosteriorRecipe(
            "darcy", CONFIGS[self.unknowns], self.sensors, self.values, self.noise,
            surrogate=surrogate, **more,
        )  # fmt: skip
        return found()

    def observations(self):
        from pdeinv.io.observations import Observations

        return Observations(self.problem.observed, self.values, self.sensors, self.noise)
