"""What a database of tumors costs, and what a search in it finds in brains of other shapes.

    python benchmarks/tumor_database.py --n 64 --patients 1   # a try
    python benchmarks/tumor_database.py                       # 2048 simulations, 3 patients

Simulations of 48³ voxels in the reference brain by ``pdeinv generate --workers 2``, masks of whole
tumor and core with unknown thresholds. Each patient has a brain of another shape and a tumor of a
usual size (``tumor_parts.patients``); the truth is solved on 96³ voxels, the data are drawn at the
48³ voxels with tissue. ``pdeinv invert --engine database`` then searches without refinement, with
local refinement and with CMA-ES; all of them are whole processes, start included. Wall seconds
depend on what else runs; CPU seconds are those of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
from tumor_parts.commands import TABLE, timed  # noqa: E402
from tumor_parts.patients import config  # noqa: E402
from tumor_parts.patients import patient as tumor_of  # noqa: E402

import pdeinv  # noqa: E402
from pdeinv.problems.tumor import Tumor  # noqa: E402
from pdeinv.provenance import versions  # noqa: E402

WAYS = (
    ("none",),
    ("local",),
    ("local", "--set", "engine.method=newton-cg"),
    ("cma",),
)
"""Refinements, with further options."""


def brain(patient: int) -> Tumor:
    """The problem of a patient."""
    return Tumor(config(patient, 1, "finite-differences", time={"stored": 100}))


def dice(a: Any, b: Any) -> float:
    """Of two masks."""
    return float(2 * np.sum(a & b) / max(np.sum(a) + np.sum(b), 1))


def judged(path: Path, patient: int, m: Any) -> dict[str, Any]:
    """What a result costs and how far it is off."""
    result = xr.open_datatree(path).load()
    problem = brain(patient)
    sensors = problem.sensors("all")
    model, region = problem.forward_model(sensors), sensors["region"]
    flat = result["posterior"].to_dataset()
    found = np.array([float(flat[n].squeeze()) for n in problem.prior().space.names])
    there, here = model(found) > 0, model(m) > 0
    both = {k: dice(there[region == r], here[region == r]) for k, r in (("whole", 1), ("core", 2))}
    return {
        "converged": bool(result.attrs["pdeinv_converged"]),
        "n_forward": int(result.attrs["pdeinv_n_forward"]),
        "n_adjoint": int(result.attrs["pdeinv_n_adjoint"]),
        **{f"dice_{k}": v for k, v in both.items()},
        "log_D": float(np.log(found[0] / m[0])),
        "log_rho": float(np.log(found[1] / m[1])),
        "seed_mm": float(np.linalg.norm(found[2:5] - m[2:5])),
    }


def patient_rows(patient: int, folder: Path) -> list[dict[str, Any]]:
    """Every way to search for one patient."""
    m = tumor_of(patient).m
    pdeinv.solve(brain(patient), m=m, level=1, out=folder / "truth.nc", overwrite=True)
    pdeinv.observe(folder / "truth.nc", sensors="all", seed=patient, out=folder / "obs.nc",
                   overwrite=True)  # fmt: skip
    rows = []
    for how, *more in WAYS:
        options = [
            "--set",
            "engine.simulations=database.nc",
            "--set",
            f"engine.refine={how}",
            *more,
        ]
        spent = timed("invert", "obs.nc", "--engine", "database", *options, "--seed", "1",
                      "--out", "found.nc", "--overwrite", where=folder)  # fmt: skip
        row = {
            "patient": patient,
            "refine": " ".join([how, *more[1:]]),
            **spent,
            **judged(folder / "found.nc", patient, m),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--n", type=int, default=2048, help="simulations")
    parser.add_argument("--patients", type=int, default=3)
    parser.add_argument("--sensors", default="grid:24", help="where simulations are observed")
    default = Path(__file__).parent / "results" / "tumor_database.json"
    parser.add_argument("--out", type=Path, default=default)
    asked = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "reference.toml").write_text(f"seed = 1\n{TABLE}")
        made = timed("generate", "tumor", "--config", "reference.toml", "--sensors", asked.sensors,
                     "--n", str(asked.n), "--workers", "2", "--out", "database.nc",
                     where=folder)  # fmt: skip
        size = (folder / "database.nc").stat().st_size / 1e6
        print(f"{asked.n} simulations: {made}, {size:.0f} MB", flush=True)
        rows = [r for p in range(1, asked.patients + 1) for r in patient_rows(p, folder)]
    report = {
        "n": asked.n, "sensors": asked.sensors, "megabytes": size, "generate": made,
        "patients": rows, "versions": versions(),
    }  # fmt: skip
    asked.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
