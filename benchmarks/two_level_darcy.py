"""Fine solves that two-level MCMC and fine-only MCMC need for the same accuracy, on a hard Darcy case.

    python benchmarks/two_level_darcy.py            # about an hour on two cores
    python benchmarks/two_level_darcy.py --quick    # minutes; same table, shorter reference

Case: 7 x 7 piecewise constant conductivity, ln κ ~ N(0, 1.5²) in each cell, -∇·(κ∇u) = 1 on the unit
square, u = 0 on its boundary, 12 x 12 sensors, noise 2 % of the peak, data from a mesh twice as fine.
Error of a run: median over the 49 unknowns of |mean of ln κ - reference mean| / posterior sd.
A method's cost is the smallest number of fine solves, training and burn-in included, from which on the
error of its running mean stays at or below 0.15; the median over replicates is shown.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.noise import Noise
from pdeinv.building import make_problem
from pdeinv.engines.driver import Run, run
from pdeinv.engines.pcn import Pcn, PcnConfig
from pdeinv.engines.two_level import TwoLevel, TwoLevelConfig
from pdeinv.io.observations import Observations
from pdeinv.refine import RefineConfig, refine
from pdeinv.building import PosteriorRecipe
from pdeinv.rng import stream

CONFIG = {"cells": [28, 28], "unknown": {"kind": "piecewise", "cells": [7, 7], "std": 1.5}}
TARGET = 0.15
SEED = 20


def case() -> tuple[object, Observations]:
    """The problem and its data."""
    problem = make_problem("darcy", CONFIG)
    sensors = problem.sensors("grid:12x12")
    truth = problem.prior().unwhiten(stream(SEED, "truth").standard_normal(49))
    clean = problem.forward_model(sensors, 1)(truth)
    noise = Noise(np.full(len(clean), 0.02 * np.abs(clean).max()))
    values = clean + noise.sample(stream(SEED, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise)


def recipe(problem, data, surrogate=None):
    return PosteriorRecipe(
        "darcy", CONFIG, data.coords, data.values, data.noise, 0, "reference", surrogate
    )


def pcn(problem, data, *, draws, chains, seed, folder):
    engine = Pcn(PcnConfig(draws=draws, warmup=draws // 10, chains=chains, thin=20))
    return engine, run(engine, recipe(problem, data), Run(seed, folder, workers=2))


def reached(costs, errors):
    """The cost from which on all errors are within the target; infinite if the last one is not."""
    late = np.flatnonzero(np.asarray(errors) > TARGET)
    if len(late) == 0:
        return costs[0]
    return costs[late[-1] + 1] if late[-1] + 1 < len(costs) else float("inf")


def error_of(mean, reference):
    return float(np.median(np.abs(mean - reference["mean"]) / reference["sd"]))


def pcn_curve(chain, warmup, thin, reference):
    """Error of one chain's running mean over its last 80 %, against its solves so far."""
    sums = np.cumsum(np.vstack([np.zeros((1, chain.shape[1])), chain]), axis=0)
    ends = np.unique(np.geomspace(50, len(chain), 200).astype(int))
    costs = warmup + ends * thin
    means = [(sums[e] - sums[e // 5]) / (e - e // 5) for e in ends]
    return costs, [error_of(m, reference) for m in means]


def two_level_curve(xi, per_draw, overhead, reference):
    """Error of the pooled running mean of all chains, against all fine solves so far."""
    ends = np.unique(np.geomspace(5, xi.shape[1], 60).astype(int))
    costs = overhead + ends * per_draw
    return costs, [error_of(xi[:, :e].mean(axis=(0, 1)), reference) for e in ends]


def two_level(problem, data, seed, folder, *, draws, chains=2):
    quiet = lambda *_: None  # noqa: E731
    refined = refine(problem, data, RefineConfig(), folder, (seed, 2, 0), quiet)
    config = TwoLevelConfig(draws=draws, chains=chains, correction_every=draws + 1)
    engine = TwoLevel(config)
    result = run(engine, recipe(problem, data, refined.folder), Run(seed, folder, workers=2))
    return refined, config, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/two_level_darcy.json"))
    options = parser.parse_args()
    reference_draws = 100_000 if options.quick else 400_000
    replicates = 2 if options.quick else 4
    problem, data = case()
    rows = []
    with TemporaryDirectory() as scratch:
        began = time.perf_counter()
        _, long = pcn(problem, data, draws=reference_draws, chains=4, seed=1, folder=Path(scratch) / "r")
        xi = long.outcome.xi
        found = summary(xi)
        reference = {"mean": xi.mean(axis=(0, 1)), "sd": xi.std(axis=(0, 1))}
        halves = np.split(xi[:, : xi.shape[1] // 2 * 2], 2, axis=1)
        own = error_of(halves[0].mean(axis=(0, 1)), {**reference, "mean": halves[1].mean(axis=(0, 1))})
        print(
            f"reference: pcn, 4 chains, {long.counters.n_forward} fine solves, "
            f"{time.perf_counter() - began:.0f} s, R-hat {found.r_hat:.3f}, ESS {found.ess_bulk:.0f}, "
            f"halves differ by {own:.3f} sd (median)"
        )
        for k in range(replicates):
            draws = reference_draws
            engine, one = pcn(
                problem, data, draws=draws, chains=2, seed=100 + k, folder=Path(scratch) / f"p{k}"
            )
            for chain in one.outcome.xi:
                costs, errors = pcn_curve(chain, engine.config.warmup, 20, reference)
                rows.append({"method": "pcn", "seed": 100 + k, "solves": reached(costs, errors)})
                print(rows[-1])
        for k in range(2 * replicates):
            began = time.perf_counter()
            refined, config, result = two_level(
                problem, data, 200 + k, Path(scratch) / f"t{k}", draws=400
            )
            spent = refined.counters.n_forward
            overhead = spent + config.chains * (config.warmup + 1)
            costs, errors = two_level_curve(result.outcome.xi, config.chains, overhead, reference)
            rows.append({
                "method": "two-level", "seed": 200 + k, "solves": reached(costs, errors),
                "training": spent, "all": spent + result.counters.n_forward,
                "final_error": errors[-1], "seconds": time.perf_counter() - began,
                "acceptance": result.outcome.summary["acceptance_rate"], **refined.report,
            })  # fmt: skip
            print(rows[-1])
    medians = {
        m: float(np.median([r["solves"] for r in rows if r["method"] == m]))
        for m in ("pcn", "two-level")
    }
    print(f"{'method':12} {'fine solves to 0.15 sd (median)':>32}")
    for method, solves in medians.items():
        print(f"{method:12} {solves:32.0f}")
    print(f"ratio {medians['pcn'] / medians['two-level']:.1f}")
    options.out.write_text(json.dumps({"medians": medians, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
