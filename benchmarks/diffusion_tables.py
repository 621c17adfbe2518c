"""How good posteriors by a learned prior are, beside a fitted Gaussian and the exact posterior.

    python benchmarks/diffusion_tables.py WORK                       # goes on where it was stopped
    python benchmarks/diffusion_tables.py WORK --laws "darcy phases" --only pnp-dm diffpir --cases 4
    python benchmarks/diffusion_tables.py WORK --table               # the rows that are kept

A prior is learned of 2000 fields on 32² nodes. Test cases are other draws of the law, with data
from a mesh three times as fine at 128 random points and noise of 1 % of their rms. The estimate is
the mean of 8 draws (of ``pnp-dm`` one of each chain), in ln m where m is positive; ``one`` is one
draw. Errors of m are relative L2 over the nodes, in %; ``pixels`` are nodes on the wrong side of
the middle between two phases.
``sd`` is the spread of draws over the rms error of their mean, 1 where the spread is right. ``fit``
is the rms of data less fitted data in standard deviations of the noise, mesh error included.
``fitted gaussian`` has mean and covariance of the same fields: its exact posterior where data are
linear in m, else that of the Gaussian about its most probable field (``laplace``).

The estimate of the time is printed first. Rows are kept in WORK/rows.json as soon as they are
there.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from diffusion_parts.cases import LAWS, Learned  # noqa: E402
from learned_parts.kept import Kept  # noqa: E402

from pdeinv.bayes.posterior import Posterior  # noqa: E402
from pdeinv.engines.run.driver import RunResult, run  # noqa: E402
from pdeinv.engines.run.spec import Run  # noqa: E402
from pdeinv.plugins import registry  # noqa: E402
from pdeinv.plugins.recipe import PosteriorRecipe  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

DRAWS = 8
EIGHT = {"chains": 1, "particles": DRAWS}
OPTIONS: dict[str, dict[str, Any]] = {
    "pnp-dm": {"chains": DRAWS, "warmup": 80, "draws": 16, "thin": 4},
    "diffpir": EIGHT,
    "pigdm": EIGHT,
    "dps": EIGHT,
    "fundps": {**EIGHT, "levels": 200},
}
LINEAR = {"pigdm"}
MINUTES = {"fitted gaussian": 0.2, "exact": 0.2, "diffpir": 0.4, "pigdm": 0.6, "pnp-dm": 1.0,
           "dps": 1.2, "fundps": 1.2, "training": 4.0}  # fmt: skip
"""CPU minutes of a case, measured on Darcy."""
COLUMNS = ("all", "mean", "one", "pixels", "sd", "fit", "calls", "solves", "cpu")
TOLD = {
    "all": "mean of all, %", "mean": "mean of 8, %", "one": "one draw, %",
    "pixels": "pixels, %", "sd": "sd / error",
    "fit": "fit, σ", "calls": "denoiser", "solves": "solves, adjoints", "cpu": "CPU s",
}  # fmt: skip


def ran(name: str, options: dict[str, Any], build: Callable[[], Posterior]) -> RunResult:
    kind = registry.load("engines", name)
    with tempfile.TemporaryDirectory() as folder:
        return run(kind(kind.Config(**options)), build, Run(1, Path(folder)))


def gaussian(on: Learned, build: Callable[[], Posterior]) -> RunResult:
    linear = on.law.name == "helmholtz" and not on.logarithmic()
    return ran("gaussian" if linear else "laplace", {"draws": 200}, build)


def measured(name: str, on: Learned, recipe: PosteriorRecipe) -> tuple[RunResult, Posterior]:
    if name == "exact":
        return gaussian(on, recipe), recipe()
    if name == "fitted gaussian":
        return gaussian(on, lambda: on.under_fitted(recipe)), on.under_fitted(recipe)
    config = recipe.problem_config
    learned = PosteriorRecipe(
        recipe.problem, config, recipe.sensors, recipe.data, recipe.likelihood, denoiser=on.folder
    )
    tied = {"coupling": on.law.coupling} if name == "pnp-dm" else {}
    return ran(name, {**OPTIONS[name], **tied}, learned), learned()


def figures(found: RunResult, posterior: Posterior, on: Learned, truth: Array) -> dict[str, Any]:
    xi = found.outcome.xi.reshape(-1, posterior.dim)
    m = posterior.prior.unwhiten(xi)
    x = np.log(m) if on.logarithmic() else m
    eight = x[np.linspace(0, len(x) - 1, DRAWS).astype(int)]
    level = np.log(truth) if on.logarithmic() else truth
    back = np.exp if on.logarithmic() else np.asarray
    size = float(np.linalg.norm(truth))
    error = [
        float(np.linalg.norm(back(f) - truth)) for f in (x.mean(axis=0), eight.mean(axis=0), *eight)
    ]
    off = float(np.sqrt(np.mean((x.mean(axis=0) - level) ** 2)))
    chosen = xi[np.linspace(0, len(xi) - 1, DRAWS).astype(int)]
    residual = (posterior.predict(chosen) - posterior.data) / posterior.noise.std
    row = dict[str, Any]()
    error = [100 * e / size for e in error]
    row["all"], row["mean"], row["one"] = error[0], error[1], float(np.mean(error[2:]))
    if on.law.between is not None:
        side = back(eight.mean(axis=0)) > on.law.between
        row["pixels"] = 100 * float(np.mean(side != (truth > on.law.between)))
    row["sd"] = float(np.sqrt(np.mean(x.var(axis=0, ddof=1)))) / off
    row["fit"] = float(np.sqrt(np.mean(residual**2)))
    row["calls"] = int(found.outcome.summary.get("n_denoiser", 0))
    row["solves"] = [found.counters.n_forward, found.counters.n_adjoint]
    row["cpu"] = found.cpu_seconds
    row["said"] = found.outcome.message
    return row


def table(rows: dict[str, Any]) -> None:
    groups = defaultdict[tuple[str, str], list[dict[str, Any]]](list)
    for key, row in rows.items():
        law, name, _ = key.split(", ")
        groups[law, name].append(row)
    for law in LAWS:
        found = {name: rows for (of, name), rows in groups.items() if of == law}
        if found:
            print(f"\n{law}\n\n| prior and engine | cases | {' | '.join(TOLD.values())} |")
            print("|" + "---|" * (len(COLUMNS) + 2))
        for name, members in found.items():
            cells = [_cell([m[c] for m in members if c in m]) for c in COLUMNS]
            print(f"| {name} | {len(members)} | {' | '.join(cells)} |")


def _cell(values: list[Any]) -> str:
    if not values:
        return ""
    mean = np.mean(np.array(values, dtype=float), axis=0)
    if mean.ndim:
        return ", ".join(f"{v:.0f}" for v in mean)
    return f"{mean:.0f}" if mean >= 100 else f"{mean:.3g}"


def names_of(law: str, only: list[str] | None) -> list[str]:
    found = ["fitted gaussian", *(["exact"] if LAWS[law].gaussian else [])]
    found += [n for n in OPTIONS if LAWS[law].name == "helmholtz" or n not in LINEAR]
    return [n for n in found if only is None or n in only]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    parser.add_argument("--only", nargs="+", choices=["fitted gaussian", "exact", *OPTIONS])
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--table", action="store_true", help="print what is kept, measure nothing")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    kept = Kept(args.work, 0, args.epochs)
    wanted = [
        (law, name, k)
        for law in args.laws
        for k in range(args.cases)
        for name in names_of(law, args.only)
        if f"{law}, {name}, {k}" not in kept.rows
    ]
    if not args.table:
        untrained = {law for law, *_ in wanted if not trained(args, law).path.exists()}
        minutes = sum(MINUTES[n] for _, n, _ in wanted) + MINUTES["training"] * len(untrained)
        print(f"{len(wanted)} rows, about {minutes:.0f} CPU minutes", flush=True)
        for law, name, k in wanted:
            on = trained(args, law)
            truth, recipe = on.case(k)
            found, posterior = measured(name, on, recipe)
            kept.keep(f"{law}, {name}, {k}", figures(found, posterior, on, truth))
    table(kept.rows)


def trained(args: argparse.Namespace, law: str) -> Learned:
    return Learned(LAWS[law], args.work / law.replace(" ", "-"), args.epochs, args.noise)


if __name__ == "__main__":
    main()
