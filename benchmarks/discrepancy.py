"""How a discrepancy is best learned: affine, with a kernel part, or with a network.

    python benchmarks/discrepancy.py            # some minutes

For Darcy (49 conductivities) and heat (9 conductivities, data in time), with a coarser mesh and
with the linearisation as coarse model, D is learned from n prior draws by each method. Entries are
the rms error of coarse + D over σ (2 % of the typical peak) at fresh draws, and the fit's seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.model.rows import evaluate
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import versions
from pdeinv.rng import stream
from pdeinv.surrogates.multifidelity.discrepancy import Discrepancy, DiscrepancyConfig
from pdeinv.surrogates.multifidelity.model import TangentPlane
from pdeinv.surrogates.multifidelity.pairs import Pairs

CASES = {
    "darcy": (
        {"cells": 28, "unknown": {"kind": "piecewise", "cells": [7, 7], "std": 1.0}},
        "grid:12x12",
    ),
    "heat": (
        {
            "cells": 16,
            "source": 1.0,
            "time": {"final": 0.5, "steps": 20},
            "unknown": {"kind": "conductivity", "prior": {"kind": "piecewise", "cells": [3, 3]}},
        },
        "grid:5x5@0.1:0.5:5",
    ),
}
METHODS = ("linear", "kernel", "network")


def solved(name, n):
    """Fine and both coarse data at n draws, and at 100 fresh ones, with σ."""
    config, spec = CASES[name]
    problem = make_problem(name, config)
    prior, sensors = problem.prior(), problem.sensors(spec)
    fine_model = WhitenedModel(prior, problem.forward_model(sensors))
    xi = stream(5, "draws").standard_normal((n + 100, prior.dim))
    fine = evaluate(fine_model, xi).values
    plane = TangentPlane.at(fine_model, xi[:n].mean(axis=0))
    coarse = {
        "coarser mesh": evaluate(
            WhitenedModel(prior, problem.forward_model(sensors, -1)), xi
        ).values,
        "linearisation": plane.model(problem.observed.space(sensors))(xi),
    }
    peak = np.median(np.abs(fine[:n]).max(axis=1))
    return xi, fine, coarse, np.full(fine.shape[1], 0.02 * peak)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[100, 200, 400, 800])
    out = Path("benchmarks/results/discrepancy.json")
    parser.add_argument("--out", type=Path, default=out)
    options = parser.parse_args()
    most, rows = max(options.n), []
    for name in CASES:
        xi, fine, coarse, noise = solved(name, most)
        for kind, values in coarse.items():
            alone = float(np.sqrt(np.mean(((values[most:] - fine[most:]) / noise) ** 2)))
            for n in options.n:
                row = {"problem": name, "coarse": kind, "n": n, "alone": alone}
                pairs = Pairs(xi[:n], values[:n], fine[:n], noise, np.ones(n))
                for method in METHODS:
                    start = time.process_time()
                    d = Discrepancy.fit(pairs, DiscrepancyConfig(method=method), 1)
                    row[f"{method}_seconds"] = time.process_time() - start
                    found = values[most:] + d(xi[most:], values[most:])
                    error = float(np.sqrt(np.mean(((found - fine[most:]) / noise) ** 2)))
                    row[method], row[f"{method}_claimed"] = error, d.rms
                rows.append(row)
                print(json.dumps(row), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"rows": rows, "versions": versions()}, indent=1) + "\n")
    print("| problem | coarse model | n | alone | linear | kernel | network |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        cells = " | ".join(f"{r[k]:.3g}" for k in ("alone", *METHODS))
        print(f"| {r['problem']} | {r['coarse']} | {r['n']} | {cells} |")


if __name__ == "__main__":
    main()
