"""How well masks of a tumor tell its parameters, against the best that any estimate can do.

    python benchmarks/tumor_estimation.py                 # 100 patients; stop, repeat as you like
    python benchmarks/tumor_estimation.py --patients 10

Masks of 4 mm, drawn independently (softness 0.05). The truth is solved by finite elements on voxels
of a third of that, the inversion by finite differences on voxels of a half; the masks are of
averages over the 4 mm. One search of engine ``map`` from the prior mean, thresholds known and
free.

The bound is that of Cramér and Rao, from the Fisher information of the inverting model at the
truth, and the bias that of data without randomness: where the expected slope under the true
probabilities vanishes, by Fisher scoring from the truth. Results are kept in
``results/tumor_estimation.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from tumor_parts.patients import Patient, config, patient  # noqa: E402

from pdeinv.bayes.bernoulli import Bernoulli  # noqa: E402
from pdeinv.bayes.links import LINKS  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.engines.gaussian.minimize import find_map  # noqa: E402
from pdeinv.engines.requests import drive  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.model.forward import ForwardModel  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.tumor import Tumor  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "tumor_estimation.json"
LINK = LINKS["threshold"]
SCORING = 8
"""Steps to the estimate of data without randomness."""
SHOWN = "ln D T", "ln rho T", "x (mm)", "y (mm)", "z (mm)"


def scaled(m: Array) -> Array:
    """dm/dp for p = ln D, ln ρ and the rest as it is, one for each parameter."""
    return np.concatenate([m[:2], np.ones(len(m) - 2)])


def jacobian(model: ForwardModel, m: Array) -> tuple[Array, Array]:
    """z and dz/dp, shapes (n_d,) and (n_d, n_p)."""
    at = model.linearize(m)
    columns = [at.jvp(e) for e in np.diag(scaled(m))]
    return at.value, np.stack(columns, axis=1)


def fisher(z: Array, j: Array) -> Array:
    """JᵀFJ of independent zeros and ones."""
    return np.asarray(j.T @ (LINK.information(z)[:, None] * j))


def noise_free(model: ForwardModel, truth: Array, m: Array) -> Array:
    """The estimate of data that are as probable as the truth ``truth`` (n_d,) makes them."""
    p = LINK.probability(truth)
    for _ in range(SCORING):
        z, j = jacobian(model, m)
        slope = p * LINK.slope(z) - (1 - p) * LINK.slope(-z)
        step = np.linalg.solve(fisher(z, j), j.T @ slope)
        m = np.concatenate([m[:2] * np.exp(np.clip(step[:2], -0.5, 0.5)), m[2:] + step[2:]])
    return m


def off(found: Array, m: Array) -> list[float]:
    """By how much ln D, ln ρ and the seed are off."""
    return [*np.log(found[:2] / m[:2]).tolist(), *(found[2:5] - m[2:5]).tolist()]


def estimated(
    who: Patient, places: Sensors, truth: Array, data: Array, known: bool
) -> dict[str, Any]:
    """What a search finds, beside bound and bias."""
    masks = {"whole": float(who.m[5]), "core": float(who.m[6])} if known else {}
    problem = Tumor(config(who.number, 2, "finite-differences", masks=masks))
    prior, model = problem.prior(), problem.forward_model(places)
    m = who.m[: prior.space.size]
    z, j = jacobian(model, m)
    bound = np.sqrt(np.diag(np.linalg.inv(fisher(z, j))))[:5]
    law = Bernoulli(len(data), "threshold")
    posterior, began = Posterior(prior, WhitenedModel(prior, model), data, law), time.process_time()
    xi = drive(posterior, find_map(posterior, stream(who.number, "search")))
    seconds, spent = time.process_time() - began, posterior.counters
    return {
        "error": off(prior.unwhiten(xi), m),
        "bound": bound.tolist(),
        "bias": off(noise_free(model, truth, m), m),
        "solves": spent.n_forward + 2 * (spent.n_adjoint + spent.n_tangent),
        "cpu_seconds": round(seconds, 1),
    }


def measured(number: int) -> dict[str, Any]:
    """One patient, with thresholds known and free."""
    who = patient(number)
    places = Tumor(config(number, 1, "finite-differences")).sensors("all")
    truth = Tumor(config(number, 3, "finite-elements")).forward_model(places)(who.m)
    data = Bernoulli(len(truth), "threshold").draw(truth[None], stream(number, "masks"))[0]
    told = {"tried": who.tried, "core": who.core, "whole": who.whole, "m": who.m.tolist()}
    ends = {
        name: estimated(who, places, truth, data, name == "known") for name in ("known", "free")
    }
    return {**told, **ends}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rms of errors beside that of bound and bias."""
    lines = [
        "| thresholds | | rms error | bound | bias | error / √(bound² + bias²) |",
        "|---|---|---|---|---|---|",
    ]
    for known in ("known", "free"):
        numbers = [
            np.array([row[known][k] for row in rows.values()]) for k in ("error", "bound", "bias")
        ]
        e, c, b = (np.sqrt(np.mean(part**2, axis=0)) for part in numbers)
        for k, name in enumerate(SHOWN):
            ratio = e[k] / np.hypot(c[k], b[k])
            lines.append(
                f"| {known} | {name} | {e[k]:.4f} | {c[k]:.4f} | {b[k]:.4f} | {ratio:.2f} |"
            )
        solves = [row[known]["solves"] for row in rows.values()]
        seconds = [row[known]["cpu_seconds"] for row in rows.values()]
        lines.append(
            f"median of {known}: {np.median(solves):.0f} solves, {np.median(seconds):.0f} s of CPU"
        )
    tried = sum(row["tried"] for row in rows.values())
    return "\n".join([*lines, f"{len(rows)} patients of {tried} draws"])


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--patients", type=int, default=100)
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for number in range(options.parse_args().patients):
        if str(number) not in rows:
            rows[str(number)] = measured(number)
            print(number, json.dumps(rows[str(number)]), flush=True)
            write_text(RESULTS, json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
