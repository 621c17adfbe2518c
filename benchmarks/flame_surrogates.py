"""How well surrogates tell the flame of a state of the inlet and of a gas, by commands.

    python benchmarks/flame_surrogates.py              # stop, repeat as you like
    python benchmarks/flame_surrogates.py --samples 256 --test 20 --folder scratch

A surrogate of (T_in 300 to 600 K, φ .40 to .50, p 1 to 1.2 atm, λ ± 20 %, E ± 10 %), all uniform,
to the temperature at 201 places and the flame speed. ``generate`` solves the flames of a Sobol set
with the derivative of each, ``train-surrogate`` trains, ``evaluate`` compares with finite elements
at prior draws that no training saw: the commands are those of docs/problems/flame.md.

Errors are the relative L2 norm of T over the places and the relative error of s_L, by draw. Data
and checkpoints stay in the folder; figures are kept in ``results/flame_surrogates.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402

from pdeinv.io.atomic import write_text  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "flame_surrogates.json"
CONFIG = """\
[problem]
name = "flame"

[problem.unknown]
inlet_temperature = { kind = "uniform", low = 300, high = 600 }
equivalence_ratio = { kind = "uniform", low = 0.40, high = 0.50 }
pressure = { kind = "uniform", low = 101325, high = 121590 }
conductivity = { kind = "uniform", low = 0.0208, high = 0.0312 }
activation_energy = { kind = "uniform", low = 109275, high = 133559 }
"""
EXACT = ("surrogate.noise_rel=0.001",)
KINDS = {
    "latent, of the unknown": ("latent", (*EXACT, "surrogate.inputs=unknown")),
    "latent": ("latent", EXACT),
    "gp": ("gp", (*EXACT, "surrogate.max_points=1000")),
}


def command(folder: Path, *words: object) -> float:
    """Run pdeinv in the folder; CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = [sys.executable, "-m", "pdeinv", *map(str, words)]
    subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def errors(path: Path) -> dict[str, list[float]]:
    """Of T and s_L at each draw of an evaluation."""
    tree = xr.open_datatree(path)
    draws, kind = tree.children["prior"].to_dataset(), np.asarray(tree["quantity"])
    true, found = np.asarray(draws["reference"]), np.asarray(draws["predicted"])
    if not np.isfinite(true).all():
        raise SystemExit(f"{path}: a flame of the test could not be solved")
    profile, speed = kind == 1, kind == 0
    gap = np.linalg.norm((found - true)[:, profile], axis=1)
    relative = gap / np.linalg.norm(true[:, profile], axis=1)
    off = np.abs(found[:, speed] / true[:, speed] - 1)[:, 0]
    return {"T": relative.tolist(), "s_L": off.tolist()}


def measured(folder: Path, name: str, samples: int, test: int) -> dict[str, Any]:
    """Train one kind on the data of the folder, and evaluate it."""
    kind, options = KINDS[name]
    data, out = f"flames-{samples}.nc", f"{name.replace(', ', '-').replace(' ', '-')}-{samples}"
    found: dict[str, Any] = {"samples": samples}
    settings = [word for option in options for word in ("--set", option)]
    found["train_cpu_seconds"] = command(
        folder, "train-surrogate", kind, "--data", data, "--seed", 2, *settings, "--out", out,
        "--overwrite",
    )  # fmt: skip
    evaluation = f"{out}.evaluation.nc"
    command(
        folder, "evaluate", out, "--n", test, "--seed", 3, "--out", evaluation, "--overwrite"
    )  # fmt: skip
    return {**found, **errors(folder / evaluation)}


def table(rows: dict[str, Any]) -> str:
    """Median and worst errors of each kind."""
    lines = [
        "| surrogate | samples | T: median | worst | s_L: median | worst | training, CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows["surrogates"].items():
        figures = [
            f"{100 * float(statistic(row[what])):.3f} %"
            for what in ("T", "s_L")
            for statistic in (np.median, np.max)
        ]
        seconds = f"{row['train_cpu_seconds']:.0f}"
        lines.append(f"| {name} | {row['samples']} | {' | '.join(figures)} | {seconds} |")
    lines.append(f"flames: {rows['generate_cpu_seconds']:.0f} CPU s; {len(row['T'])} draws")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--samples", type=int, default=2048)
    options.add_argument("--test", type=int, default=200)
    options.add_argument("--kinds", nargs="*", choices=tuple(KINDS), default=tuple(KINDS))
    options.add_argument("--folder", type=Path, default=Path("flame-surrogates"))
    given = options.parse_args()
    given.folder.mkdir(exist_ok=True)
    write_text(given.folder / "flames.toml", CONFIG)
    kept: dict[str, Any] = {"surrogates": {}}
    if RESULTS.exists():
        kept = json.loads(RESULTS.read_text())
    if not (given.folder / f"flames-{given.samples}.nc").exists():
        kept["generate_cpu_seconds"] = command(
            given.folder, "generate", "--config", "flames.toml", "--sensors", "all@T+speed",
            "--n", given.samples, "--design", "sobol", "--jacobian", 5, "--seed", 1,
            "--out", f"flames-{given.samples}.nc",
        )  # fmt: skip
    for name in given.kinds:
        row = kept["surrogates"].get(name, {})
        if (row.get("samples"), len(row.get("T", ()))) != (given.samples, given.test):
            kept["surrogates"][name] = measured(given.folder, name, given.samples, given.test)
            write_text(RESULTS, json.dumps(kept, indent=1) + "\n")
    print(table(kept))


if __name__ == "__main__":
    main()
