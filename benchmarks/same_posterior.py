"""Whether a change left the posteriors of the shipped examples where they were.

    git worktree add ../before COMMIT && make -C ../before venv
    python benchmarks/same_posterior.py --before ../before        # about ten minutes

Each example is inverted by both checkouts with the run file of the old one, and by ``map``; that of
the demo also by each with its own run file. Modes are cut where no pair of equal eigenvalues is
split. Draws, those of Laplace approximations as well, are compared by the difference of posterior
means in units of its Monte Carlo standard error, in the physical unknown; root mean square about 1
and largest about 3 to 4 are chance. Point estimates are compared by relative differences. ``CPU``
is that of a whole command before over now. With ``--only`` the other rows of the table stay.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.bayes.diagnostics import summary
from pdeinv.config import parse_toml
from pdeinv.jobs.invert.run import Inversion

HERE = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "same_posterior.json"
EXAMPLES = ("darcy", "heat", "helmholtz", "eit")
DEMO = "darcy"


def inverted(root: Path, example: Path, out: Path, *more: str) -> tuple[xr.DataTree, float]:
    """What one checkout finds, and the CPU seconds that it takes."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [root / ".venv/bin/pdeinv", "invert", example / "obs.nc", "--seed", "1", "--out", out]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, [*command, *more]))}\n{done.stderr}")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    return xr.open_datatree(out), spent


def whole_pairs(example: Path, run_file: bool) -> tuple[str, str]:
    """The option that cuts the modes where no pair of equal eigenvalues is split.

    Within such a pair the two checkouts may choose other modes.
    """
    table = parse_toml((example / "run.toml").read_text(), "run.toml") if run_file else {}
    problem = Inversion.resolve(table, example / "obs.nc").problem
    values = problem.prior().field.eigenvalues
    gaps = -np.diff(values) > 1e-6 * values[0]
    path = place_of("modes", problem.config.model_dump(mode="json")["unknown"])
    return "--set", f"problem.unknown.{path}={int(np.flatnonzero(gaps)[-1]) + 1}"


def place_of(key: str, table: Mapping[str, Any]) -> str:
    """Where a key stands in nested tables, joined by dots; empty where it does not."""
    for name, value in table.items():
        if name == key:
            return name
        inner = place_of(key, value) if isinstance(value, Mapping) else ""
        if inner:
            return f"{name}.{inner}"
    return ""


def unknowns(tree: xr.DataTree) -> dict[str, Any]:
    """The posterior's variables as (chain, draw, component)."""
    found = tree["posterior"].to_dataset()
    return {
        str(name): np.asarray(v.values, dtype=float).reshape(*v.shape[:2], -1)
        for name, v in found.data_vars.items()
    }


def by_draws(a: xr.DataTree, b: xr.DataTree) -> dict[str, float]:
    """Differences of means in standard errors, and the ratio of standard deviations."""
    scores, spreads = [], []
    for name, old in unknowns(a).items():
        new = unknowns(b)[name]
        errors = np.hypot(summary(old).mcse, summary(new).mcse)
        scores.append((new.mean((0, 1)) - old.mean((0, 1))) / errors)
        spreads.append(new.std((0, 1)) / old.std((0, 1)))
    z, ratio = np.concatenate(scores), np.concatenate(spreads)
    return {
        "rms z": float(np.sqrt(np.mean(z**2))),
        "largest |z|": float(np.abs(z).max()),
        "sd ratio, least": float(ratio.min()),
        "sd ratio, largest": float(ratio.max()),
    }


def by_estimates(a: xr.DataTree, b: xr.DataTree) -> dict[str, float]:
    """Relative differences of what a point engine or an approximation says."""
    old, new = a["estimates"].to_dataset(), b["estimates"].to_dataset()
    found = {}
    for name in (n for n in map(str, old.data_vars) if n.endswith(("_mean", "_sd"))):
        scale = max(float(np.abs(old[name]).max()), 1e-300)
        found[name] = float(np.abs(new[name] - old[name]).max()) / scale
    return found


def compared(before: Path, name: str, folder: Path) -> list[dict[str, Any]]:
    example, found = before / "examples" / name, []
    ways = {"run file": ("--config", str(example / "run.toml")), "map": ("--engine", "map")}
    own = name == "eit"
    if own:
        ways["map"] = (*ways["run file"], "--engine", "map")
    # by default both stop at 1e-6, somewhere within that of the minimum
    ways["map"] += ("--set", "engine.tolerance=1e-10")
    if own:
        ways["run file"] += ("--set", "engine.tolerance=1e-10")
    if name == DEMO:
        ways["own run file"] = ()
    modes = whole_pairs(example, own)
    for way, given in ways.items():
        trees, spent = [], []
        for k, root in enumerate((before, HERE)):
            more = given or ("--config", str(root / "examples" / name / "run.toml"))
            out = folder / f"{name}{len(found)}{k}.nc"
            tree, seconds = inverted(root, example, out, *more, *modes)
            trees.append(tree)
            spent.append(seconds)
        draws = trees[0]["posterior"].sizes["draw"] > 1
        figures = by_draws(*trees) if draws else by_estimates(*trees)
        figures["CPU"] = spent[0] / spent[1]
        found.append({"example": name, "way": way, **figures})
        text = ", ".join(f"{k} {v:.3g}" for k, v in figures.items())
        print(f"{name:10} {way:9} {text}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--before", type=Path, required=True, help="another checkout with its .venv"
    )
    parser.add_argument("--only", nargs="*", choices=EXAMPLES, default=list(EXAMPLES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    held = json.loads(args.out.read_text()) if args.out.exists() else []
    table = [row for row in held if row["example"] not in args.only]
    with TemporaryDirectory() as folder:
        for name in args.only:
            table += compared(args.before.resolve(), name, Path(folder))
    table.sort(key=lambda row: EXAMPLES.index(row["example"]))
    args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
