"""Every problem and every surrogate that applies to it: errors, speed, and when training pays.

    python benchmarks/surrogates.py                      # 10 minutes of training a cell at most
    python benchmarks/surrogates.py --seconds 30 --n 400 # all of it within half an hour
    python benchmarks/surrogates.py --problems darcy --surrogates latent,gp

Rows come from the registry: a problem or surrogate that is installed takes part. Where a surrogate
refuses a problem, its words stand in the table. Each problem's samples are prior draws, solved once
and kept; a cell found in the result file with the same options is not repeated.

Columns: relative L2 error and rms error over σ (2 % of the typical peak) of the data at fresh prior
draws; microseconds of one evaluation and of one in a batch, beside the reference's in the same run;
and the number of evaluations from which on the surrogate pays, one at a time and in batches,
(n · seconds per solve + seconds of training) / (reference - surrogate).
Networks train for as many epochs as a timed start says that the limit allows, or until no more is
gained. ``latent+J`` is ``latent`` on a data set with Jacobian actions, whose cost is counted;
``fno+steps`` is ``fno`` with ``time = "steps"``, which goes from one time to the next.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.config import fingerprint
from pdeinv.errors import PdeinvError
from pdeinv.executors.devices import import_torch
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.forward import Capability
from pdeinv.model.rows import evaluate
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import versions
from pdeinv.rng import stream
from pdeinv.surrogates.common.record import heldout_errors

CASES = {
    "darcy": ({"cells": 28, "unknown": {"kind": "piecewise", "cells": [4, 4]}}, "grid:9x9"),
    "heat": (
        {
            "cells": 16,
            "source": 1.0,
            "unknown": {"kind": "conductivity"},
            "time": {"final": 0.5, "steps": 20},
        },
        "grid:5x5@0.1:0.5:5",
    ),
    "helmholtz": ({}, "ring:24"),
    "eit": ({"unknown": {"kind": "log-gaussian", "std": 0.5, "modes": 16}}, "all"),
}
"""Configuration and sensors; other problems run with their defaults."""

STEPS = {"time": "steps"}
"""Options of ``NAME+steps``."""
OPTIONS = {"helmholtz/deeponet": {"octaves": 2}}
"""Options of one cell, where the defaults are not for it: two wavelengths fill the region."""

MOST_EPOCHS = 1000
BATCH = 256
SEED = 7


@dataclass(frozen=True)
class Case:
    """A problem with its samples and what its reference costs."""

    name: str
    problem: object
    dataset: datasets.TrainingSet
    xi: np.ndarray
    true: np.ndarray
    noise_std: np.ndarray
    solve: float
    with_actions: float | None


def seconds_of(call, inputs, least=0.3):
    """Seconds of one call, the mean over ``least`` seconds after one that does not count.

    Inputs take turns: models remember the last one.
    """
    turns = cycle(inputs)
    call(next(turns))
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < least or count < 2:
        call(next(turns))
        count += 1
    return spent / count


def samples(name, config, spec, options):
    """The data set, on a grid and with Jacobian actions where the problem has them."""
    problem = make_problem(name, config)
    spec = spec or getattr(problem, "default_sensors", "all")
    sensors = problem.sensors(spec)
    model = problem.forward_model(sensors)
    derivatives = {Capability.JVP, Capability.VJP} & model.capabilities
    plan = Plan(
        name, problem.config.model_dump(mode="json"), sensors, options.n, SEED,
        jacobian=options.probes if derivatives and problem.prior().differentiable else 0,
    )  # fmt: skip
    # steps in time begin at the first state
    times = tuple(np.unique([0.0, *sensors["t"]])) if "t" in sensors else ()
    mark = fingerprint([plan.mark(), options.n, options.grid, *times])
    file = options.data / f"{name}-{mark}.nc"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        for one in (replace(plan, grid=(options.grid,) * 2, times=times), plan):
            folder = file.with_suffix(".grid.run" if one.grid else ".run")
            try:
                generate(one, file, folder, workers=options.workers, resume=True)
                break
            except (PdeinvError, KeyError) as error:
                # places cannot carry this problem's data: learn from the data alone
                if one is plan:
                    raise
                print(f"{name}: no fields on a grid ({error})")
    return problem, datasets.read(file)


def prepare(name, options):
    """Solve the samples and fresh draws, and time the reference."""
    config, spec = CASES.get(name, ({}, None))
    problem, dataset = samples(name, config, spec, options)
    model = WhitenedModel(problem.prior(), problem.forward_model(dataset.sensors))
    xi = stream(SEED, "fresh").standard_normal((options.test, problem.prior().dim))
    true = evaluate(model, xi).values
    keep = np.isfinite(true).all(axis=1)
    solve = seconds_of(model, xi)
    actions = None
    if dataset.probes is not None:
        probes = dataset.probes[0]

        def informed(one):
            at = model.linearize(one)
            for p in probes:
                at.jvp(p)

        actions = seconds_of(informed, xi)
    peak = np.median(np.abs(dataset.values).max(axis=1))
    noise_std = np.full(dataset.values.shape[1], 0.02 * peak)
    return Case(name, problem, dataset, xi[keep], true[keep], noise_std, solve, actions)


def fitted(kind, case, table, dataset, limit):
    """A surrogate trained within ``limit`` seconds, and the seconds it took."""
    known, table = set(kind.Config.model_fields), dict(table)

    def fit(epochs):
        own = dict(table)
        if "epochs" in known:
            own["epochs"] = epochs
        elif "member" in known:
            own["options"] = {**own.get("options", {}), "epochs": epochs}
        start = time.perf_counter()
        surrogate = kind.fit(dataset, case.problem, kind.Config(**own), SEED)
        return surrogate, time.perf_counter() - start

    if not known & {"epochs", "member"}:
        return fit(0)
    fit(1)
    once, thrice = fit(1)[1], fit(4)[1]
    each = max((thrice - once) / 3, 1e-4)
    return fit(int(np.clip((limit - once) / each, 2, MOST_EPOCHS)))


def cell(name, case, options):
    """One row: errors, speed and the break-even number."""
    plain = replace(case.dataset, probes=None, actions=None)
    base, _, how = name.partition("+")
    informed = how == "J"
    if informed and case.dataset.actions is None:
        return {"refused": "the problem's configuration has no derivatives"}
    if how == "steps" and "t" not in case.dataset.sensors:
        return {"refused": "the problem has no times"}
    kind = registry.load("surrogates", base)
    dataset = case.dataset if informed else plain
    try:
        table = (STEPS if how == "steps" else {}) | OPTIONS.get(f"{case.name}/{name}", {})
        surrogate, training = fitted(kind, case, table, dataset, options.seconds)
        model = surrogate.bind(case.problem, case.problem.prior(), dataset.sensors)
        found = model(case.xi)
    except PdeinvError as error:
        return {"refused": str(error)}
    # of ‖u‖ itself, as the literature has it: the origin of all cases is natural
    errors = heldout_errors(found, case.true, case.noise_std, np.zeros(found.shape[1]))
    one = seconds_of(model, case.xi)
    many = np.resize(case.xi, (BATCH, case.xi.shape[1]))
    batched = seconds_of(model, [many, many[::-1].copy()]) / BATCH
    per_solve = case.with_actions if informed else case.solve
    extra = surrogate.metadata["extra"]
    return {
        **errors,
        "one_us": 1e6 * one,
        "batched_us": 1e6 * batched,
        "reference_us": 1e6 * case.solve,
        "generation_seconds": dataset.size * per_solve,
        "training_seconds": training,
        "samples": dataset.size,
        **{k: extra[k] for k in ("epochs", "coverage_95", "stage") if k in extra},
    }


def break_even(row, how):
    """From how many evaluations on the solves and the training have paid."""
    saved = 1e-6 * (row["reference_us"] - row[f"{how}_us"])
    cost = row["generation_seconds"] + row["training_seconds"]
    return f"{cost / saved:.2g}" if saved > 0 else "never"


def table(results):
    """The cells in Markdown."""
    lines = [
        "| problem | surrogate | rel. L2 | rms/σ | µs, one | µs, batched | µs, reference "
        "| training s | pays after, one | pays after, batched |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    refused = []
    for key, row in sorted(results["cells"].items()):
        problem, name = key.split("/")
        if "refused" in row:
            refused.append(f"- {problem}, `{name}`: {row['refused']}")
            continue
        lines.append(
            f"| {problem} | `{name}` | {row['relative_l2']:.2g} | {row['rms_over_sigma']:.2g} "
            f"| {row['one_us']:.3g} | {row['batched_us']:.3g} | {row['reference_us']:.3g} "
            f"| {row['training_seconds']:.0f} | {break_even(row, 'one')} "
            f"| {break_even(row, 'batched')} |"
        )
    return "\n".join([*lines, "", *refused])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="training of one cell")
    parser.add_argument("--n", type=int, default=1000, help="samples of one problem")
    parser.add_argument("--test", type=int, default=100, help="fresh draws")
    parser.add_argument("--grid", type=int, default=33, help="nodes along each side for operators")
    parser.add_argument("--probes", type=int, default=4, help="Jacobian actions of a sample")
    parser.add_argument("--problems", help="names, comma between; all that are registered")
    parser.add_argument("--surrogates", help="likewise")
    parser.add_argument("--workers", type=int, default=2, help="processes that generate")
    parser.add_argument("--threads", type=int, default=2, help="threads of the training")
    parser.add_argument("--data", type=Path, default=Path("build/surrogates"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/surrogates.json"))
    return parser.parse_args()


def main():
    options = arguments()
    import_torch().set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    problems = options.problems.split(",") if options.problems else registry.names("problems")
    names = options.surrogates.split(",") if options.surrogates else (
        sorted([*registry.names("surrogates"), "latent+J", "fno+steps"])
    )  # fmt: skip
    setting = {k: getattr(options, k) for k in ("seconds", "n", "test", "grid", "probes")}
    results = json.loads(options.out.read_text()) if options.out.exists() else {"cells": {}}
    results["versions"] = versions()
    for problem in problems:
        case = None
        for name in names:
            key = f"{problem}/{name}"
            if results["cells"].get(key, {}).get("setting") == setting:
                continue
            case = case or prepare(problem, options)
            row = {**cell(name, case, options), "setting": setting}
            results["cells"][key] = row
            print(key, json.dumps(row), flush=True)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
