"""Masks of made-up tumors in white matter, on a line or in the plane, small enough to search in."""

from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.problems.tumor import Tumor, TumorConfig

BODIES: dict[str, dict[str, Any]] = {
    "line": {"lengths": (120.0,), "cells": 240, "time": {"steps": 40}},
    "plane": {"lengths": (96.0, 96.0), "cells": 48, "time": {"steps": 30}},
}
RATES = {
    "diffusivity": {"median": 0.8, "std": 0.5},
    "growth_rate": {"median": 0.06, "std": 0.3},
}


def masked(body: str, seed: int) -> Posterior:
    """A posterior of masks whose truth is a draw from the prior, closer to its middle."""
    white = {"solver": "finite-differences", "tissue": {"kind": "homogeneous"}, "masks": {}}
    table = {**BODIES[body], **white, "unknown": RATES}
    problem = Tumor(TumorConfig.model_validate(table))
    prior, places, rng = problem.prior(), problem.sensors("all"), np.random.default_rng(seed)
    model, law = problem.forward_model(places), problem.likelihood(places)
    assert law is not None
    z = model(prior.unwhiten(0.7 * rng.standard_normal(prior.dim)))
    return Posterior(prior, WhitenedModel(prior, model), law.draw(z[None], rng)[0], law)
