"""How cost grows: with the mesh, rows, unknowns, sensors, time steps and chains.

    python benchmarks/growth.py            # some minutes
    python benchmarks/growth.py --long     # up to 257² nodes, 65³ nodes, 5000 steps
    python benchmarks/growth.py --only mesh rows

Each point runs in a process of its own: the least CPU time of one call of many, and the peak of its
memory above that of the smallest point. Exponents are the slopes between neighbouring points in
logarithms; the growth of a factorisation by nested dissection is 1.5 (plane) and 2 (solid) in the
number of nodes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from speed import least  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "growth.json"
Work = tuple[Callable[[int], Any], int]
"""What is timed, for some cases in turn, and how many calls of it are one unit."""


def darcy(nodes: int = 65, modes: int = 20, sensors: str = "grid:12x12") -> tuple[Any, Any]:
    from pdeinv.plugins.recipe import make_problem, whitened_model

    unknown = {"kind": "log-gaussian", "grid": [nodes, nodes], "modes": modes}
    problem = make_problem("darcy", {"cells": nodes - 1, "unknown": unknown})
    model = whitened_model(problem, problem.sensors(sensors), 0)
    return model, np.random.default_rng(0).standard_normal((64, model.m_space.size))


def gradient(model: Any, xis: Any) -> Work:
    def work(k: int) -> None:
        at = model.linearize(xis[k % len(xis)])
        at.vjp(at.value)

    return work, 1


def mesh(nodes: int) -> Work:
    return gradient(*darcy(nodes))


def unknowns(modes: int) -> Work:
    return gradient(*darcy(65, modes))


def sensors(n: int) -> Work:
    side = round(math.sqrt(n))
    return gradient(*darcy(sensors=f"grid:{side}x{side}"))


def rows(n: int) -> Work:
    """A row of n, in blocks as posteriors ask for them."""
    model, xis = darcy()

    def work(k: int) -> None:
        for i in range(0, n, model.block):
            at = model.linearize_rows(np.roll(xis, k, axis=0)[i : min(i + model.block, n)])
            at.vjp(at.values)
            del at

    return work, n


def heat(cells: list[int], steps: int) -> Work:
    from pdeinv.plugins.recipe import make_problem

    d = len(cells)
    prior = {"kind": "log-gaussian", "grid": [9] * d, "modes": 20}
    config = {
        "lengths": [1.0] * d,
        "cells": cells,
        "time": {"final": 1.0, "steps": steps},
        "unknown": {"kind": "conductivity", "prior": prior},
    }
    problem = make_problem("heat", config)
    model, prior_map = (
        problem.forward_model(problem.sensors(f"grid:{'x'.join('3' * d)}")),
        problem.prior(),
    )
    ms = prior_map.unwhiten(0.3 * np.random.default_rng(0).standard_normal((4, prior_map.dim)))
    return lambda k: model(ms[k % 4]), 1


def solid(nodes: int) -> Work:
    return heat([nodes - 1] * 3, 10)


def steps(n: int) -> Work:
    return heat([32, 32], n)


def chains(n: int) -> Work:
    """A draw of hmc on Darcy of 33² nodes, by n chains."""
    from tempfile import TemporaryDirectory

    from pdeinv.bayes.noise import Noise
    from pdeinv.bayes.posterior import Posterior
    from pdeinv.engines.run.driver import run
    from pdeinv.engines.run.spec import Run
    from pdeinv.plugins import registry

    model, xis = darcy(33)
    data = model(xis[0])
    noise = Noise(np.full(len(data), 0.02 * np.abs(data).max()))
    engine = registry.build("engines", "hmc", {"chains": n, "warmup": 20, "draws": 20})

    def work(_k: int) -> None:
        with TemporaryDirectory() as folder:
            run(engine, lambda: Posterior(model.prior, model, data, noise), Run(1, Path(folder)))

    return work, 40 * n


AXES: dict[str, tuple[Callable[[int], Work], list[int], list[int]]] = {
    "mesh": (mesh, [33, 65, 129], [257]),
    "solid": (solid, [9, 17, 33], [65]),
    "rows": (rows, [1, 4, 16, 64], []),
    "unknowns": (unknowns, [64, 256, 1024], [4096]),
    "sensors": (sensors, [100, 1024, 10_000], []),
    "steps": (steps, [50, 200, 1000], [5000]),
    "chains": (chains, [1, 4, 16], []),
}
"""What grows: how a point is made, its values, and those of --long besides."""


def child(axis: str, value: int) -> dict[str, float]:
    work, units = AXES[axis][0](value)
    seconds = least(work, 4) / units
    return {"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def point(axis: str, value: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", axis, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def slopes(values: list[int], measured: list[float]) -> list[float]:
    x, y = np.log(values), np.log(np.maximum(measured, 1e-12))
    return [float(s) for s in np.diff(y) / np.diff(x)]


def measured(axis: str, values: list[int]) -> dict[str, Any]:
    found = [point(axis, v) for v in values]
    seconds = [f["seconds"] for f in found]
    exponents = slopes(values, seconds)
    print(axis)
    for k, value in enumerate(values):
        text = f"  {value:6d} {seconds[k] * 1e3:12.3f} ms {found[k]['mb']:8.0f} MB"
        print(text + (f"   exponent {exponents[k - 1]:.2f}" if k else ""), flush=True)
    return {"axis": axis, "values": values, "points": found, "exponents": exponents}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=AXES, nargs="*", default=list(AXES))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child[0], int(args.child[1]))))
        return
    table = []
    for axis in args.only:
        _, values, more = AXES[axis]
        table.append(measured(axis, values + (more if args.long else [])))
    args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
