"""What tumor growth costs by both models, and what a coarse grid does to the estimates.

    python benchmarks/tumor_speed.py     # 6 min; prints the tables of the docs

Writes ``results/tumor_speed.json``. Speed: 100 steps in the whole phantom, medians of a few runs, a
new unknown each. Bias: data without noise of finite elements on voxels of 0.5 mm with 400 steps are
fitted by least squares on coarser voxels with 100 steps.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import least_squares

from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.provenance import versions
from pdeinv.rng import stream

SOLVERS = ("finite-differences", "finite-elements")
SIZES = ((2, 96), (2, 192), (3, 32), (3, 48), (3, 64))
TRUTHS = {"broad": (0.8, 0.05, 112.0, 70.0), "median": (0.5, 0.06, 112.0, 70.0),
          "sharp": (0.2, 0.12, 112.0, 70.0)}  # fmt: skip
"""D, ρ and the place of the seed, in white matter."""
CELLS = (48, 64, 96, 128, 192)


def made(solver: str, dim: int, cells: int, **more: Any) -> Tumor:
    table = {"solver": solver, "lengths": [192.0] * dim, "cells": cells, **more}
    return Tumor(TumorConfig.model_validate(table))


def speed(solver: str, dim: int, cells: int, repeats: int, now: Callable[[], float]) -> Any:
    """Seconds to build the model, of a value, and of a gradient with its value."""
    problem, rng = made(solver, dim, cells), stream(0, "benchmark")
    begin = now()
    model = problem.forward_model(problem.sensors("grid:8"))
    built, prior = now() - begin, problem.prior()
    values, gradients = [], []
    for m in prior.unwhiten(0.5 * rng.standard_normal((repeats + 1, prior.dim))):
        begin = now()
        model(m)
        values.append(now() - begin)
        begin = now()
        at = model.linearize(1.01 * m)
        at.vjp(at.value)
        gradients.append(now() - begin)
    found = {"build_s": built, "value_s": values[1:], "gradient_s": gradients[1:]}
    seconds = {name: float(np.median(v)) for name, v in found.items()}
    return {"solver": solver, "dim": dim, "cells": cells, "dofs": problem.dofs(0), **seconds}


def bias(truth: str, solver: str, cells: int) -> Any:
    """Relative errors of D and ρ in percent, and of the seed's place in mm."""
    m = np.array(TRUTHS[truth])
    fine = made("finite-elements", 2, 384, time={"steps": 400})
    sensors = fine.sensors("grid:40")
    data = fine.forward_model(sensors)(m)
    model = made(solver, 2, cells).forward_model(sensors)
    scale = np.array([m[0], m[1], 1.0, 1.0])

    def residual(x: Any) -> Any:
        return model(m + x * scale) - data

    def jacobian(x: Any) -> Any:
        at = model.linearize(m + x * scale)
        return np.stack([at.jvp(column) for column in np.diag(scale)], axis=1)

    x = least_squares(residual, np.zeros(4), jacobian).x
    voxel, front = 192 / cells, float(np.sqrt(m[0] / m[1]))
    return {
        "truth": truth,
        "solver": solver,
        "cells": cells,
        "voxel_by_front": voxel / front,
        "D_percent": 100 * float(x[0]),
        "rho_percent": 100 * float(x[1]),
        "seed_mm": float(np.hypot(*x[2:])),
    }


def table(rows: list[Any]) -> None:
    names = list(rows[0])
    print("".join(f"{n:>20}" for n in names))
    for row in rows:
        cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())
        print("".join(f"{c:>20}" for c in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    default = Path(__file__).parent / "results" / "tumor_speed.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    now = time.perf_counter if arguments.clock == "wall" else time.thread_time
    made("finite-elements", 2, 8).discretisation(0)  # imports and compiles
    speeds = [speed(s, d, n, arguments.repeats, now) for d, n in SIZES for s in SOLVERS]
    table(speeds)
    biases = [bias(t, s, n) for t in TRUTHS for s in SOLVERS for n in CELLS]
    table(biases)
    report = {"clock": arguments.clock, "versions": versions(), "speed": speeds, "bias": biases}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
