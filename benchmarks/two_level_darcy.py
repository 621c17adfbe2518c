"""Fine solves that two-level and fine-only MCMC need for the same accuracy: a hard Darcy case.

    python benchmarks/two_level_darcy.py            # about 15 minutes on two cores
    python benchmarks/two_level_darcy.py --quick    # about 4 minutes: less of everything
    python benchmarks/two_level_darcy.py --quick --methods two-level --replicates 4 --out FILE

Case: 7 x 7 piecewise constant conductivity, ln κ ~ N(0, 1.5²) in each cell, -∇·(κ∇u) = 1 on the
unit square, u = 0 on its boundary, 12 x 12 sensors, noise 2 % of the peak, 28 x 28 cells, data from
a mesh twice as fine.

Reference: long Hamiltonian chains on the fine model, whose two halves are compared. Error of a
run: median over the 49 unknowns of |mean of xi - reference mean| / posterior sd. A method's cost is
the smallest number of fine solves, training, tuning and burn-in included, from which on the error
of its running mean stays at or below 0.15; where a run never gets there, its length is a lower
bound. Hamiltonian moves on the fine model stand beside the engines; each costs an adjoint too.
A replicate is two runs of each method. `--reference FILE` keeps the reference for the next time.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.noise import Noise
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.executors import process_pool
from pdeinv.io.observations import Observations
from pdeinv.jobs.two_level.rounds import Rounds, RoundsConfig
from pdeinv.jobs.two_level.train import train_in_rounds
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.rng import stream

CONFIG = {"cells": [28, 28], "unknown": {"kind": "piecewise", "cells": [7, 7], "std": 1.5}}
TARGET = 0.15
SEED = 20
STARTS = {"auto": "two-level", "coarse": "two-level, coarse start"}
"""First training rounds and the rows that they are reported in; the former is the default."""
METHODS = ("pcn", "fine Hamiltonian", *STARTS.values())


def case():
    """The problem and its data."""
    problem = make_problem("darcy", CONFIG)
    sensors = problem.sensors("grid:12x12")
    truth = problem.prior().unwhiten(stream(SEED, "truth").standard_normal(49))
    clean = problem.forward_model(sensors, 1)(truth)
    noise = Noise(np.full(len(clean), 0.02 * np.abs(clean).max()))
    values = clean + noise.sample(stream(SEED, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise)


def recipe(data, surrogate=None):
    return PosteriorRecipe(
        "darcy", CONFIG, data.coords, data.values, data.noise, 0, "reference", surrogate
    )


def pcn(data, *, draws, chains, seed, folder):
    engine = Pcn(PcnConfig(draws=draws, warmup=draws // 10, chains=chains, thin=20))
    return engine, run(engine, recipe(data), Run(seed, folder, workers=2))


def hamiltonian(job):
    """Moves on the fine model: thinned positions the solves spent at each, the adjoints."""
    data, moves, seed = job
    posterior = recipe(data)()
    rng = stream(seed, "hamiltonian")
    tuned = drive(posterior, tune(posterior, 100, rng))
    here = drive(posterior, tuned.kernel.at(tuned.place))
    xis, costs = [], []
    for _ in range(moves):
        here = drive(posterior, tuned.kernel.move(here, rng)).point
        xis.append(here.place.xi)
        costs.append(posterior.counters.n_forward)
    return np.asarray(xis), np.asarray(costs), posterior.counters.n_adjoint


def reached(costs, errors):
    """The cost from which on all errors are within the target, and whether there is one."""
    late = np.flatnonzero(np.asarray(errors) > TARGET)
    first = 0 if len(late) == 0 else int(late[-1]) + 1
    return (int(costs[first]), True) if first < len(costs) else (int(costs[-1]), False)


def error_of(mean, reference):
    return float(np.median(np.abs(mean - reference["mean"]) / reference["sd"]))


def running(xi, reference, ends, skip=0.2):
    """Errors of one chain's running mean, its first fifth left out."""
    sums = np.cumsum(np.vstack([np.zeros((1, xi.shape[1])), xi]), axis=0)
    drops = (ends * skip).astype(int)
    return [
        error_of((sums[e] - sums[d]) / (e - d), reference) for e, d in zip(ends, drops, strict=True)
    ]


def two_level(problem, data, seed, folder, *, start, draws, chains=2):
    rounds = Rounds(problem, data, RoundsConfig(start=start), seed, workers=2)
    surrogate = train_in_rounds(rounds, folder, lambda *_: None)
    config = TwoLevelConfig(draws=draws, warmup=5, chains=chains, correction_every=draws)
    result = run(TwoLevel(config), recipe(data, surrogate.folder), Run(seed, folder, workers=2))
    return surrogate, config, result


def row(method, seed, costs, errors, **more):
    solves, done = reached(costs, errors)
    found = {"method": method, "seed": seed, "solves": solves, "reached": done,
             "final_error": errors[-1], "all": int(costs[-1]), **more}  # fmt: skip
    print(found, flush=True)
    return found


def reference_run(data, moves, pool, file=None):
    """The reference means and standard deviations with facts about them; from ``file`` if there."""
    if file is not None and file.exists():
        with np.load(file) as stored:
            found, facts = {k: stored[k] for k in ("mean", "sd")}, json.loads(str(stored["facts"]))
        print("reference", facts, flush=True)
        return found, facts
    runs = list(pool.map(hamiltonian, [(data, moves, 10 + k) for k in range(4)]))
    xi = np.stack([r[0] for r in runs])
    reference = {"mean": xi.mean(axis=(0, 1)), "sd": xi.std(axis=(0, 1))}
    first, second = (h.mean(axis=(0, 1)) for h in np.array_split(xi, 2, axis=1))
    halves = error_of(first, {**reference, "mean": second})
    found = summary(xi)
    facts = {"solves": int(sum(r[1][-1] for r in runs)), "r_hat": found.r_hat,
             "ess_bulk": found.ess_bulk, "halves_differ_by": halves}  # fmt: skip
    print("reference", facts, flush=True)
    if file is not None:
        np.savez(file, **reference, facts=json.dumps(facts))
    return reference, facts


def pcn_rows(data, reference, scratch, k, *, draws):
    engine, one = pcn(data, draws=draws, chains=2, seed=100 + k, folder=scratch / f"p{k}")
    rows = []
    for chain in one.outcome.xi:
        ends = np.unique(np.geomspace(50, len(chain), 200).astype(int))
        costs = engine.config.warmup + ends * 20
        rows.append(row("pcn", 100 + k, costs, running(chain, reference, ends)))
    return rows


def hamiltonian_rows(data, reference, k, pool):
    seeds = (300 + 2 * k, 301 + 2 * k)
    rows = []
    for seed, (xi, costs, adjoints) in zip(
        seeds, pool.map(hamiltonian, [(data, 500, seed) for seed in seeds]), strict=True
    ):
        ends = np.arange(5, 501, 5)
        errors = running(xi, reference, ends)
        rows.append(row("fine Hamiltonian", seed, costs[ends - 1], errors, adjoints=adjoints))
    return rows


def two_level_row(problem, data, reference, folder, seed, start):
    began = time.perf_counter()
    surrogate, config, result = two_level(problem, data, seed, folder, start=start, draws=150)
    overhead = surrogate.counters.n_forward + config.chains * (config.warmup + 1)
    ends = np.arange(2, 151, 2)
    xi = result.outcome.xi
    errors = [error_of(xi[:, :e].mean(axis=(0, 1)), reference) for e in ends]
    return row(
        STARTS[start], seed, overhead + ends * config.chains, errors,
        training=surrogate.counters.n_forward,
        training_adjoints=surrogate.counters.n_adjoint,
        training_tangents=surrogate.counters.n_tangent,
        seconds=time.perf_counter() - began,
        acceptance=result.outcome.summary["acceptance_rate"], **surrogate.figures,
    )  # fmt: skip


def replicate(setting, scratch, k, *, methods, pcn_draws, pool):
    """Two runs of each method."""
    problem, data, reference = setting
    rows = []
    if "pcn" in methods:
        rows += pcn_rows(data, reference, scratch, k, draws=pcn_draws)
    if "fine Hamiltonian" in methods:
        rows += hamiltonian_rows(data, reference, k, pool)
    for (start, name), seed in product(STARTS.items(), (200 + 2 * k, 201 + 2 * k)):
        if name in methods:
            folder = scratch / f"t{start}{seed}"
            rows.append(two_level_row(problem, data, reference, folder, seed, start))
    return rows


def table(rows, methods):
    """Medians over replicates; printed and returned."""
    found = {}
    print(f"{'method':28} {'fine solves to 0.15 sd':>24} {'from':>6} {'to':>6} {'reached':>9}")
    for method in methods:
        mine = [r for r in rows if r["method"] == method]
        solves = [r["solves"] for r in mine]
        median, least, most = (float(f(solves)) for f in (np.median, min, max))
        done = sum(r["reached"] for r in mine)
        bound = "> " if done <= len(mine) // 2 else ""
        print(
            f"{method:28} {bound + format(median, '.0f'):>24} {least:>6.0f} {most:>6.0f}"
            f" {done:>4} of {len(mine)}"
        )
        found[method] = {"solves": median, "range": [least, most], "reached": done,
                         "runs": len(mine)}  # fmt: skip
    for method in {"pcn", "fine Hamiltonian"} & set(methods) if "two-level" in methods else ():
        ratio = found[method]["solves"] / found["two-level"]["solves"]
        print(f"{method} / two-level: {ratio:.1f}")
        found[method]["ratio"] = ratio
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--replicates", type=int, default=None, help="default: 1 quick, else 3")
    parser.add_argument("--reference", type=Path, default=None, help="keep the reference there")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/two_level_darcy.json"))
    options = parser.parse_args()
    problem, data = case()
    rows = []
    with TemporaryDirectory() as scratch, process_pool(2, int) as pool:
        moves, draws = (1000, 60_000) if options.quick else (2500, 200_000)
        reference, facts = reference_run(data, moves, pool, options.reference)
        for k in range(options.replicates or (1 if options.quick else 3)):
            rows += replicate(
                (problem, data, reference), Path(scratch), k,
                methods=options.methods, pcn_draws=draws, pool=pool,
            )  # fmt: skip
    found = table(rows, options.methods)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"reference": facts, "table": found, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
