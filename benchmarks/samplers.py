"""Effective sample sizes per gradient and per CPU second of hmc, pcn and two-level on Darcy.

    python benchmarks/samplers.py            # never timed: by proportion some ten CPU minutes
    python benchmarks/samplers.py --quick    # about two CPU minutes: shorter chains

Case: that of `two_level_darcy.py`, 49 unknowns and 144 data; two chains each, one process. Of each
run: the median and the smallest effective sample size of the means of the unknowns, the chains
together. Everything is paid for: search for the MAP point, training, tuning, warm-up. Solves are
counted in forward solves of the reference model; what an adjoint or a tangent costs beside one is
timed in the same process.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from two_level_darcy import case, recipe

from pdeinv.bayes.diagnostics import summary
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.jobs.two_level.train import Rounds, RoundsConfig, train_in_rounds

LENGTHS = {
    # engine: (warm-up, draws) of each of two chains
    "hmc": (500, 4000),
    "pcn": (5000, 100_000),
    "two-level": (20, 2000),
}
QUICK = {"hmc": (300, 600), "pcn": (2000, 15_000), "two-level": (10, 150)}
ENGINES = {
    "hmc": (Hmc, HmcConfig, {}),
    "pcn": (Pcn, PcnConfig, {"proposal": "laplace", "thin": 5}),
    "two-level": (TwoLevel, TwoLevelConfig, {"correction_every": 10**9}),
}


def ess(xi):
    """Effective sample sizes of the means of the unknowns, of draws (chain, draw, dim)."""
    import arviz_stats.base

    stats = arviz_stats.base.array_stats
    return np.asarray(stats.ess(xi, method="mean", chain_axis=0, draw_axis=1))


def seconds_of_solves(posterior, n=60):
    """CPU seconds of a solve and of a solve with its gradient, minima of ``n`` in turns."""
    xis = 0.3 * np.random.default_rng(0).standard_normal((2 * n, posterior.dim))
    found = np.empty((n, 2))
    for k in range(n):
        for j, call in enumerate((posterior.misfit, posterior.linearize)):
            began = time.process_time()
            call(xis[2 * k + j])
            found[k, j] = time.process_time() - began
    return found.min(axis=0)


def trained(problem, data, seed, folder):
    """A surrogate in the folder, where two-level needs one, and what it spent."""
    report = train_in_rounds(Rounds(problem, data, RoundsConfig(), seed), folder, lambda *_: None)
    return report.folder, report.counters


def sampled(name, length, seed, scratch, problem, data):
    """One run of an engine as a row."""
    kind, config, options = ENGINES[name]
    began = time.process_time()
    surrogate, spent = (None, None)
    if name == "two-level":
        surrogate, spent = trained(problem, data, seed, scratch / f"train{seed}")
    engine = kind(config(chains=2, warmup=length[0], draws=length[1], **options))
    posterior = recipe(data, surrogate)()
    spec = Run(seed, scratch / f"{name}{seed}", budget=Budget())
    found = run(engine, lambda: posterior, spec)
    cpu, counters = time.process_time() - began, found.counters
    if spent is not None:
        counters.add(spent)
    sizes, judged = ess(found.outcome.xi), summary(found.outcome.xi)
    return {
        "engine": name, "seed": seed, "cpu": cpu, "ess_median": float(np.median(sizes)),
        "ess_min": float(sizes.min()), "r_hat": judged.r_hat,
        "acceptance": found.outcome.summary["acceptance_rate"], **counters.as_dict(),
    }  # fmt: skip


def cost(row, ratio):
    """Work on the reference model in forward solves; adjoints and tangents cost ``ratio`` - 1."""
    return row["n_forward"] + (ratio - 1) * (row["n_adjoint"] + row["n_tangent"])


def table(rows, solve):
    """Printed: one line a run."""
    ratio = solve[1] / solve[0]
    print(f"one solve {1e3 * solve[0]:.2f} ms, with gradient {ratio:.2f} times as much")
    print("engine     seed  R-hat  accept  forward adjoint surrogate    CPU s  ESS median, min"
          "   per 1000 solves      per CPU s")  # fmt: skip
    for row in rows:
        work = row["work"] = cost(row, ratio)
        both = np.array([row["ess_median"], row["ess_min"]])
        print(
            f"{row['engine']:10} {row['seed']:4} {row['r_hat']:6.3f} {row['acceptance']:7.2f} "
            f"{row['n_forward']:8} {row['n_adjoint']:7} {row['n_surrogate']:9} {row['cpu']:8.1f} "
            + " ".join(f"{x:8.2f}" for x in (*both, *(1000 * both / work), *(both / row["cpu"])))
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--runs", type=int, default=1, help="runs of each engine")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/samplers.json"))
    options = parser.parse_args()
    lengths = QUICK if options.quick else LENGTHS
    problem, data = case()
    solve = seconds_of_solves(recipe(data)())
    rows = []
    with TemporaryDirectory() as scratch:
        for seed in range(options.runs):
            for name in options.engines:
                rows.append(sampled(name, lengths[name], seed, Path(scratch), problem, data))
                print(rows[-1], flush=True)
    table(rows, solve)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"seconds_of_solves": list(solve), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
