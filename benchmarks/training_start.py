"""Where two-level's training should begin: sd of the misfit difference after so many fine solves.

    python benchmarks/training_start.py            # about 10 minutes of CPU
    python benchmarks/training_start.py --seeds 20 --rounds 5

The hard Darcy case of `two_level_darcy.py`, 7 x 7 cells of ln κ with sd 1.5, on two meshes: 28 x 28
cells, whose coarse mesh of 14 x 14 follows the cells of the unknown, and 32 x 32, whose coarse mesh
of 16 x 16 does not. Training begins with draws of the coarse model's posterior (`coarse`) or about
the fine model's MAP point (`laplace`), whose derivative is learned from as well; the same data and
seeds for both. The sd is that of Φ_fine - Φ_surrogate on draws of the surrogate's own posterior
that it has not learned from: above 4 two-level refuses, above 1.5 it warns, below 1 training is
over. Fine solves are all that were spent on what the surrogate had learned by then, the search for
the MAP point included, whose adjoints and tangents (two triangular solves each, with a factor that
is there) stand beside them.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.errors import SurrogateRejected
from pdeinv.io.observations import Observations
from pdeinv.jobs.two_level.rounds import Rounds, RoundsConfig
from pdeinv.jobs.two_level.train import train_in_rounds
from pdeinv.plugins.recipe import make_problem
from pdeinv.rng import stream

CASES = {"aligned": 28, "not aligned": 32}
STARTS = ("coarse", "laplace")
ROUND = 40


def case(cells: int, seed: int):
    """The problem and one data set."""
    table = {"cells": [cells, cells], "unknown": {"kind": "piecewise", "cells": [7, 7], "std": 1.5}}
    problem = make_problem("darcy", table)
    sensors = problem.sensors("grid:12x12")
    truth = problem.prior().unwhiten(stream(seed, "truth").standard_normal(49))
    clean = problem.forward_model(sensors, 1)(truth)
    noise = Noise(np.full(len(clean), 0.02 * np.abs(clean).max()))
    values = clean + noise.sample(stream(seed, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise)


def train(problem, data, start: str, rounds: int, folder: Path) -> dict[str, object]:
    """One training: the tests of its surrogates with what had been spent on each."""
    config = RoundsConfig(round_size=ROUND, max_rounds=rounds, start=start)
    try:
        train_in_rounds(Rounds(problem, data, config, 1), folder, lambda *_: None)
        verdict = "accepted"
    except SurrogateRejected:
        verdict = "refused"
    spent, tests = np.zeros(3, dtype=int), []
    for j, test in enumerate(json.loads((folder / "tests.json").read_text())):
        with np.load(folder / f"round{j}.npz") as found:
            counts = json.loads(str(found["spent"]))
        spent += [counts["n_forward"], counts["n_tangent"], counts["n_adjoint"]]
        names = ("fine_solves", "tangents", "adjoints")
        tests.append({**dict(zip(names, spent.tolist(), strict=True)), "sd": test["sd"]})
    return {"verdict": verdict, "tests": tests}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[20, 21, 22], help="data sets")
    parser.add_argument("--rounds", type=int, default=8, help="most rounds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training_start.json"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for seed, name, start in product(options.seeds, options.cases, options.starts):
        problem, data = case(CASES[name], seed)
        with TemporaryDirectory() as scratch:
            found = train(problem, data, start, options.rounds, Path(scratch))
        key = {"case": name, "seed": seed, "start": start}
        print({**key, **found}, flush=True)
        rows = json.loads(options.out.read_text()) if options.out.exists() else []
        others = [r for r in rows if {k: r[k] for k in key} != key]
        options.out.write_text(json.dumps([*others, {**key, **found}], indent=1))


if __name__ == "__main__":
    main()
