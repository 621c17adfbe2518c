"""What a search for the best fit to masks of a tumor costs, by both methods of engine ``map``.

    python benchmarks/tumor_searches.py

Ten made-up tumors in white matter, five on a line and five in the plane, each with masks of its own
model and all thresholds unknown. One search from the prior mean. A gradient counts as three solves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.gaussian.minimize import Minimum, OptimizerConfig, first_minimum, improved
from pdeinv.engines.requests import drive
from pdeinv.problems.tumor import Tumor, TumorConfig

BODIES: dict[str, dict[str, Any]] = {
    "line": {"lengths": (120.0,), "cells": 240, "time": {"steps": 40}},
    "plane": {"lengths": (96.0, 96.0), "cells": 48, "time": {"steps": 30}},
}
RATES = {
    "diffusivity": {"median": 0.8, "std": 0.5},
    "growth_rate": {"median": 0.06, "std": 0.3},
}
SEEDS = range(5)


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


def search(posterior: Posterior, method: str) -> tuple[Minimum, int]:
    """The end of one search, and its cost in solves."""
    config = OptimizerConfig.model_validate({"method": method})
    state = drive(posterior, first_minimum(posterior, config, np.random.default_rng(0)))
    while state.on(config):
        state = drive(posterior, improved(state, config))
    spent = posterior.counters
    return state, spent.n_forward + 2 * (spent.n_adjoint + spent.n_tangent)


def main() -> None:
    """Print a row for each tumor."""
    print("| tumor | J, newton-cg | J, lbfgs | solves, newton-cg | solves, lbfgs |")
    print("|---|---|---|---|---|")
    costs = []
    for body, seed in ((b, s) for b in BODIES for s in SEEDS):
        ends = [search(masked(body, seed), method) for method in ("newton-cg", "lbfgs")]
        costs.append([cost for _, cost in ends])
        heights = " | ".join(f"{state.objective:.2f}" for state, _ in ends)
        print(f"| {body} {seed} | {heights} | {costs[-1][0]} | {costs[-1][1]} |")
    print(f"medians: {np.median(costs, axis=0)}")


if __name__ == "__main__":
    main()
