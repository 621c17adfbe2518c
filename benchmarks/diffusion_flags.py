"""Are data of other fields than a learned prior knows flagged, and those of its own not?

    python benchmarks/diffusion_flags.py WORK                  # goes on where it was stopped
    python benchmarks/diffusion_flags.py WORK --family 400 --shifted 200
    python benchmarks/diffusion_flags.py WORK --table          # the rows that are kept

The prior is learned of 2000 log-Gaussian conductivities on 32² nodes; data are those of Darcy flow
on a mesh three times as fine at 128 random points, with noise of 1 % of their rms. ``family`` is
the law of the training's fields; the others have twice its correlation length, 1.5 times its
standard deviation of ln m, and two phases instead, of the same mean and standard deviation. Each
data set is compared as ``invert`` does it, with 100 draws of the learned prior out of a pool of
500, and with 100 fresh ones of the true generator (``true``). Flagged is what has a likeness below
0.05.

Rows are kept in WORK/rows.json as soon as they are there, draws of the learned prior beside them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from diffusion_parts.cases import FINER, LAWS, POINTS, SEED, Law, Learned  # noqa: E402
from learned_parts.kept import Kept  # noqa: E402
from scipy.stats import beta  # noqa: E402

from pdeinv.bayes.likeness import UNLIKE  # noqa: E402
from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.bayes.prior import sample  # noqa: E402
from pdeinv.engines.diffusion.prior import law_draws  # noqa: E402
from pdeinv.jobs.foreseen import DRAWS, likeness_beside  # noqa: E402
from pdeinv.model.rows import evaluate  # noqa: E402
from pdeinv.plugins.law import law_of  # noqa: E402
from pdeinv.plugins.recipe import load_surrogate, make_problem  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

POOL, NOISE = 500, 0.01
KNOWN = LAWS["darcy field"]


def changed(**unknown: Any) -> Law:
    table = {**KNOWN.table, "unknown": {**KNOWN.table["unknown"], **unknown}}
    return replace(KNOWN, table=table)


TESTED: Mapping[str, Law] = {
    "family": KNOWN,
    "length x 2": changed(length=2 * KNOWN.table["unknown"]["length"]),
    "sd x 1.5": changed(std=1.5 * KNOWN.table["unknown"]["std"]),
    "two phases": LAWS["darcy phases"],
}


@dataclass(frozen=True)
class Bench:
    """One set of points, predictions of draws of both priors, and data of any law.

    Attributes:
        on: the law that is known, with its learned prior.
    """

    on: Learned

    @cached_property
    def places(self) -> Any:
        at = 0.02 + 0.96 * stream(SEED, "flags").random((POINTS, 2))
        return self.on.problem.sensors("list:" + ";".join(f"{x:.6f},{y:.6f}" for x, y in at))

    @cached_property
    def model(self) -> Any:
        return self.on.problem.forward_model(self.places, 0)

    @cached_property
    def pool(self) -> Array:
        """Predictions of draws of the learned prior, (500, n_d)."""
        prior = self.on.problem.prior()
        trained = load_surrogate(self.on.folder)
        own, law = law_of(trained, self.on.problem, prior, self.places)
        kept = self.on.work / "draws.npy"
        if not kept.exists():
            np.save(kept, law_draws(law, stream(SEED, "pool"), POOL))
        return evaluate(self.model, own.unwhiten(np.load(kept))).values

    def predictions(self, k: int) -> dict[str, Array]:
        """Of 100 draws of each prior, for the k-th test."""
        chosen = stream(SEED, "chosen", k).choice(POOL, DRAWS, replace=False)
        true = sample(self.on.problem.prior(), stream(SEED, "true", k), DRAWS)
        return {"learned": self.pool[chosen], "true": evaluate(self.model, true).values}

    def data(self, law: Law, n: int) -> Array:
        """Of n truths of a law by the finer mesh, without noise."""
        finer = {**law.table, "cells": [FINER * c for c in law.table["cells"]]}
        truths = sample(make_problem(law.name, law.table).prior(), stream(SEED, "truths"), n)
        model = make_problem(law.name, finer).forward_model(self.places, 0)
        return evaluate(model, truths).values

    def likenesses(self, law: Law, n: int) -> dict[str, list[float]]:
        """To each prior."""
        found: dict[str, list[float]] = {"learned": [], "true": []}
        prior = self.on.problem.prior()
        for k, clean in enumerate(self.data(law, n)):
            rng = stream(SEED, "test", k)
            noise = Noise(np.full(POINTS, NOISE * float(np.sqrt(np.mean(clean**2)))))
            measured = noise.draw(clean[None], rng)[0]
            posterior = Posterior(prior, WhitenedModel(prior, self.model), measured, noise)
            for name, expected in self.predictions(k).items():
                found[name].append(likeness_beside(posterior, expected, rng))
        return found


def upper(hits: int, n: int) -> float:
    """The one-sided 95 % bound of a rate (Clopper and Pearson 1934)."""
    return float(beta.ppf(0.95, hits + 1, n - hits)) if hits < n else 1.0


def table(rows: Mapping[str, Any]) -> None:
    print("\n| data | number | learned prior flags, % | at most | true prior flags, % | at most |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells, n = [], 0
        for of in ("learned", "true"):
            n = len(row[of])
            hits = int(np.sum(np.array(row[of]) < UNLIKE))
            cells += [f"{100 * hits / n:.1f}", f"{100 * upper(hits, n):.1f}"]
        print(f"| {name} | {n} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--family", type=int, default=400)
    parser.add_argument("--shifted", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--table", action="store_true", help="print what is kept, measure nothing")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    kept = Kept(args.work, 0, args.epochs)
    bench = Bench(Learned(KNOWN, args.work / "darcy-field", args.epochs, NOISE))
    for name, law in TESTED.items():
        if name not in kept.rows and not args.table:
            n = args.family if name == "family" else args.shifted
            kept.keep(name, bench.likenesses(law, n))
    table(kept.rows)


if __name__ == "__main__":
    main()
