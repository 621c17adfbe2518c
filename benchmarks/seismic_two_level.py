"""Two-level sampling of seismic layers with a fast model beside sampling with the fine one alone.

    python benchmarks/seismic_two_level.py             # what is missing, then the table
    python benchmarks/seismic_two_level.py --methods hmc two-level-deepwave
    python benchmarks/seismic_two_level.py --show      # the table of what is there

Case: three flat layers (two thicknesses, three velocities), two shots of 8 Hz, 8 receivers and 50
samples each, noise 5 % of the root mean square. Fine model: spectral elements, 8 x 6 cells of
degree 4, absorbing layer of 320 m. Data: 16 x 12 cells of degree 5, layer of 640 m. Surrogates of
two-level: the fine model's linearization or finite differences by deepwave, both with a learned
discrepancy; elements of degree 3 make the first searches of the former, deepwave of the latter.

Results are kept in --folder; a run that was stopped goes on. A gradient counts as three solves, a
tangent as two. Costs per effective draw (the least bulk ESS of the unknowns and the misfit) hold
warm-up and training. Deviations are those of means from the reference's in its standard deviations.
The reference is the run of `hmc`, whose own cost stands beside the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import xarray as xr

import pdeinv

LAYERS = {"kind": "layers", "thicknesses": [140.0, 160.0], "velocities": [1900.0, 2300.0, 2900.0],
          "thickness_std": 0.15, "velocity_std": 0.08}  # fmt: skip
CASE = {
    "lengths": [640.0, 480.0], "cells": [8, 6], "boundary": {"width": 320.0},
    "time": {"final": 0.5, "record": 0.01}, "unknown": LAYERS,
    "survey": {"sources": [[0.0, 60.0], [640.0, 60.0]], "receivers": 8, "receiver_depth": 20.0},
}  # fmt: skip
FINER = {**CASE, "cells": [16, 12], "degree": 5, "boundary": {"width": 640.0}}
FAST = {"model": "deepwave", "deepwave": {"spacing": 20.0, "accuracy": 4, "layer": 10}}
DEEPWAVE = {"coarse_problem": FAST}
LINEAR = {"coarse_problem": {"degree": 3}, "options": {"coarse": "linear"}}
TWO_LEVEL = {"draws": 150, "warmup": 5, "chains": 4, "correction_every": 10}
METHODS = {
    "hmc": ("hmc", {"chains": 4, "warmup": 60, "draws": 150}, {}),
    "two-level-linear": ("two-level", TWO_LEVEL, LINEAR),
    "two-level-deepwave": ("two-level", TWO_LEVEL, DEEPWAVE),
    "pcn": ("pcn", {"chains": 4, "draws": 2000, "warmup": 200}, {}),
    "emcee": ("emcee", {"draws": 500, "warmup": 100}, {}),
}
RESULTS = Path(__file__).parent / "results" / "seismic_two_level.json"


def observations(folder: Path) -> Path:
    obs = folder / "obs.nc"
    if not obs.exists():
        truth = pdeinv.solve(pdeinv.problem("seismic", **FINER), seed=7, level=0)
        pdeinv.observe(truth, sensors="all", noise_rms=0.05, seed=8, out=obs)
    return obs


def run(name: str, folder: Path) -> xr.DataTree:
    out = folder / f"{name}.nc"
    if out.exists():
        return xr.open_datatree(out)
    engine, options, surrogate = METHODS[name]
    problem = pdeinv.problem("seismic", **CASE)
    tables = {"surrogate": surrogate} if surrogate else {}
    again = out.with_name(out.name + ".run").exists()
    return pdeinv.invert(observations(folder), engine=engine, problem=problem, seed=11, out=out,
                         resume=again, tables=tables, **options)  # fmt: skip


def figures(name: str, tree: xr.DataTree, reference: xr.DataTree) -> dict[str, object]:
    a = tree.attrs
    counts = {k: int(a.get(f"pdeinv_n_{k}", 0)) for k in ("forward", "adjoint", "tangent")}
    solves = counts["forward"] + 2 * counts["adjoint"] + 2 * counts["tangent"]
    ess = float(a["pdeinv_ess_bulk"])
    xi, other = (t["unconstrained_posterior"]["xi"].values for t in (tree, reference))
    xi, other = (x.reshape(-1, x.shape[-1]) for x in (xi, other))
    off = np.abs(xi.mean(axis=0) - other.mean(axis=0)) / other.std(axis=0)
    return {
        "method": name, **counts, "surrogate": int(a.get("pdeinv_n_surrogate", 0)),
        "equivalents": solves, "ess": round(ess), "per draw": solves / ess,
        "cpu seconds": float(a["pdeinv_cpu_seconds"]),
        "cpu per draw": float(a["pdeinv_cpu_seconds"]) / ess,
        "median off": float(np.median(off)), "worst off": float(off.max()),
        "sd ratio": float((xi.std(axis=0) / other.std(axis=0)).max()),
        "converged": bool(a["pdeinv_converged"]),
    }  # fmt: skip


def table(rows: list[dict[str, object]]) -> None:
    names = ("method", "equivalents", "ess", "per draw", "cpu seconds", "cpu per draw",
             "median off", "worst off", "sd ratio", "converged")  # fmt: skip
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(_text(row[n]) for n in names) + " |")


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("out/seismic_two_level"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if not args.show:
        for name in args.methods:
            run(name, args.folder)
    there = [name for name in METHODS if (args.folder / f"{name}.nc").exists()]
    reference = xr.open_datatree(args.folder / "hmc.nc")
    rows = [figures(n, xr.open_datatree(args.folder / f"{n}.nc"), reference) for n in there]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    table(rows)


if __name__ == "__main__":
    main()
