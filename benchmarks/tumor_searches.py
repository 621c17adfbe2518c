"""What a search for the best fit to masks of a tumor costs, by both methods of engine ``map``.

    python benchmarks/tumor_searches.py

Ten made-up tumors in white matter, five on a line and five in the plane, each with masks of its own
model and all thresholds unknown. One search from the prior mean. A gradient counts as three solves.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))

from masked_tumor import BODIES, masked

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.gaussian.minimize import (
    Minimum,
    OptimizerConfig,
    first_minimum,
    improved,
)
from pdeinv.engines.requests import drive

SEEDS = range(5)


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
