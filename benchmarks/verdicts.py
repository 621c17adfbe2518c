"""How often "converged" is right: cases, engines and seeds by default settings, and references.

    python benchmarks/verdicts.py                                  # hours; go on where it stopped
    python benchmarks/verdicts.py --engines hmc --seeds 0 1 2
    python benchmarks/verdicts.py --cases heat banana mixture      # the quick ones

Cases: (a) `darcy-49`, that of `samplers.py`; (b) `darcy-100`, 10 x 10 log-normal cells of standard
deviation 2, 12 x 12 heads; (c) `heat`, one point source left or right of a line of sensors, two
modes of equal mass by mirror symmetry; (d) `banana` and `mixture`, two unknowns as own models, two
modes with weights 0.75 and 0.25.

Each run is `pdeinv.invert` with an engine's defaults; for own models `two-level` has a coarse model
that is some per cent off. Its file stays in `--folder`, and a run whose file is there is not
repeated; a later call adds to the table of an earlier one. References: for (d) quadrature, which is
exact; for (a) and (b) long chains of `hmc` in that folder, whose Monte Carlo error is stated; for
(c) the halves are equal.

A converged run is right if the means of xi lie within 0.1 posterior standard deviations (median of
the unknowns) and 0.3 (the worst one) of the reference; with two modes, if the weights lie within
0.1, and the mean is not asked. Costs are counted as solves: a tangent or an adjoint is two, so that
a gradient with its solve is 3. None wrong of ten still allows a share of 26 % (95 % bound), none of
fifty one of 6 %.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
from verdicts_parts import cases  # noqa: E402

import pdeinv  # noqa: E402
from pdeinv.bayes.diagnostics import summary  # noqa: E402
from pdeinv.errors import PdeinvError  # noqa: E402

ROOT = Path(__file__).parents[1]
ENGINES = ("hmc", "two-level")
MEDIAN, WORST, WEIGHT, MOST = 0.1, 0.3, 0.1, 20_000
"""Of the errors of a right run in standard deviations, of its weights, and of its cost."""


@dataclass(frozen=True)
class Case:
    """A posterior and what is known of it.

    Attributes:
        data: makes the observations.
        exact: mean and sd of xi by quadrature, or None where long chains give them.
        model: the own model, or None.
        mode: tells of draws of xi (..., dim) whether they lie in the first mode; None for one mode.
        weight: the mass of that mode.
        wanted: how many of ten runs are to be converged and right.
    """

    data: Callable[[], Any]
    wanted: int
    exact: Callable[[], tuple[Any, Any]] | None = None
    model: Any = None
    mode: Callable[[Any], Any] | None = None
    weight: float = np.nan


CASES = {
    "darcy-49": Case(cases.darcy_49, 9),
    "darcy-100": Case(cases.darcy_100, 7),
    "heat": Case(cases.heat, 5, mode=lambda xi: xi[..., 0] < cases.MIDDLE, weight=0.5),
    "banana": Case(cases.banana_data, 8, cases.banana_moments, cases.banana()),
    "mixture": Case(
        cases.mixture_data,
        8,
        model=cases.mixture(),
        mode=lambda xi: xi[..., 0] + cases.SHIFT > 0,
        weight=cases.mixture_weight(),
    ),
}
LONG = {"chains": 8, "warmup": 1000, "draws": 6000}
"""Of the reference chains of hmc."""


def observations(name: str, folder: Path) -> Any:
    """The data of a case: (y, sigma) of an own model, else a file that is made once."""
    if CASES[name].model is not None:
        return CASES[name].data()
    file = folder / f"{name}.nc"
    if not file.exists():
        CASES[name].data().to_netcdf(file)
    return file


def drawn(name: str, engine: str, seed: int, folder: Path, **options: Any) -> xr.DataTree | str:
    """The result of one run, from its file where there is one; the error where it failed."""
    out = folder / f"{name}-{engine}-{seed}.nc"
    failed = out.with_suffix(".failed")
    if failed.exists():
        return failed.read_text()
    if not out.exists():
        given = {"engine": engine, "model": CASES[name].model, "seed": seed, "out": out}
        resume = out.with_name(f"{out.name}.run").exists()
        try:
            pdeinv.invert(observations(name, folder), **given, resume=resume, **options)
        except PdeinvError as error:
            failed.write_text(str(error))
            return str(error)
    return xr.open_datatree(out)


def reference(name: str, folder: Path) -> dict[str, Any]:
    """Mean and sd of xi, and what is known of their error in standard deviations."""
    case = CASES[name]
    if case.mode is not None:
        return {}
    if case.exact is not None:
        mean, sd = case.exact()
        return {"mean": mean, "sd": sd, "error": 0.0, "r_hat": 1.0}
    tree = drawn(name, "hmc", 1000, folder, **LONG)
    assert not isinstance(tree, str), tree
    xi = tree["unconstrained_posterior"]["xi"].values
    found, sd = summary(xi), xi.std(axis=(0, 1))
    return {
        "mean": xi.mean(axis=(0, 1)),
        "sd": sd,
        "error": float(np.max(found.mcse / sd)),
        "r_hat": found.r_hat,
    }


def judged(name: str, tree: xr.DataTree | str, known: dict[str, Any]) -> dict[str, Any]:
    """What a run claims, whether that is right, and what it cost."""
    if isinstance(tree, str):
        return {"converged": False, "right": False, "cost": None, "message": tree}
    xi, attrs = tree["unconstrained_posterior"]["xi"].values, tree.attrs
    spent = {k: int(attrs[f"pdeinv_n_{k}"]) for k in ("forward", "tangent", "adjoint")}
    cost = spent["forward"] + 2 * (spent["tangent"] + spent["adjoint"])
    found = {
        "converged": bool(attrs["pdeinv_converged"]),
        "cost": cost,
        "message": str(attrs["pdeinv_message"]),
    }
    case = CASES[name]
    if case.mode is not None:
        weight = float(case.mode(xi).mean())
        return {**found, "weight": weight, "right": abs(weight - case.weight) <= WEIGHT}
    off = np.abs(xi.mean(axis=(0, 1)) - known["mean"]) / known["sd"]
    median, worst = float(np.median(off)), float(off.max())
    right = median <= MEDIAN and worst <= WORST
    return {**found, "median": median, "worst": worst, "right": right}


def row(name: str, engine: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one case and engine."""
    costs = [r["cost"] for r in runs if r["cost"] is not None]
    good = sum(r["converged"] and r["right"] for r in runs)
    return {
        "case": name,
        "engine": engine,
        "runs": len(runs),
        "converged_and_right": good,
        "wanted_of_ten": CASES[name].wanted,
        "converged_and_wrong": sum(r["converged"] and not r["right"] for r in runs),
        "median_cost": float(np.median(costs)) if costs else None,
    }


def shown(rows: list[dict[str, Any]], references: dict[str, Any]) -> None:
    print(f"{'case':12} {'engine':10} runs  right  wanted  wrong  solves, median ({MOST:,} wanted)")
    for r in rows:
        cost = "-" if r["median_cost"] is None else f"{r['median_cost']:,.0f}"
        print(
            f"{r['case']:12} {r['engine']:10} {r['runs']:4} {r['converged_and_right']:6} "
            f"{r['wanted_of_ten']:4}/10 {r['converged_and_wrong']:6} {cost:>10}"
        )
    for name, known in references.items():
        print(f"reference of {name}: error {known['error']:.3f} sd, R-hat {known['r_hat']:.4f}")


def measured(options: argparse.Namespace) -> dict[str, Any]:
    rows, runs, references = [], [], {}
    for name in options.cases:
        known = references[name] = reference(name, options.folder)
        for engine in options.engines:
            mine = []
            for seed in options.seeds:
                tree = drawn(name, engine, seed, options.folder)
                mine.append({"seed": seed, **judged(name, tree, known)})
                print(name, engine, mine[-1], flush=True)
            rows.append(row(name, engine, mine))
            runs += [{"case": name, "engine": engine, **one} for one in mine]
    figures = {
        n: {k: known[k] for k in ("error", "r_hat")} for n, known in references.items() if known
    }
    return {"table": rows, "references": figures, "runs": runs}


def joined(found: dict[str, Any], out: Path) -> dict[str, Any]:
    """With the cases and engines of an earlier call that this one was not asked for."""
    if not out.exists():
        return found
    before, new = json.loads(out.read_text()), {(r["case"], r["engine"]) for r in found["table"]}

    def kept(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [r for r in rows if (r["case"], r["engine"]) not in new]

    return {
        "table": kept(before["table"]) + found["table"],
        "references": {**before["references"], **found["references"]},
        "runs": kept(before["runs"]) + found["runs"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--folder", type=Path, default=ROOT / "out/verdicts", help="of all runs")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/verdicts.json")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = joined(measured(options), options.out)
    shown(found["table"], found["references"])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
