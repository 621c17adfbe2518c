"""How `generate` scales from one worker process to two.

    python benchmarks/generate_scaling.py                # a few minutes
    python benchmarks/generate_scaling.py --n 2000 --cells 64

Case: Darcy on P1 triangles, log-Gaussian conductivity, 144 sensors. The times include everything
that the command does after it has read its options: starting the processes, importing the
finite-element library in each, building the model, solving, writing batches and the data set.
Compiled forms are cached beforehand by one small run. Runs alternate; the best of each counts. Two
idle cores are needed: `load_before` tells how busy the machine was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.building import make_problem
from pdeinv.designs import Plan
from pdeinv.generate import generate
from pdeinv.io import netcdf


def seconds(plan: Plan, workers: int, folder: Path) -> float:
    """Wall time of one data set."""
    begin = time.perf_counter()
    generate(plan, folder / f"{workers}.nc", folder / f"{workers}.run", workers=workers)
    return time.perf_counter() - begin


def measure(n: int, cells: int, repeats: int) -> dict[str, object]:
    """Times by number of workers, and whether the numbers agree bit for bit."""
    config = {"cells": cells}
    sensors = make_problem("darcy", config).sensors("grid:12x12")
    times: dict[int, list[float]] = {1: [], 2: []}
    with TemporaryDirectory() as name:
        folder = Path(name)
        seconds(Plan("darcy", config, sensors, 4, 0), 2, folder)
        for _ in range(repeats):
            for workers, found in times.items():
                found.append(seconds(Plan("darcy", config, sensors, n, 0), workers, folder))
        one, two = (netcdf.read_dataset(folder / f"{w}.nc")["u"] for w in (1, 2))
        same = bool(np.array_equal(one, two))
    best = {w: min(found) for w, found in times.items()}
    return {
        "samples": n,
        "cells": cells,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "seconds_1": round(best[1], 1),
        "seconds_2": round(best[2], 1),
        "speedup": round(best[1] / best[2], 2),
        "bitwise_equal": same,
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=4000, help="samples")
    parser.add_argument("--cells", type=int, default=128, help="cells along each side")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the figures here as JSON")
    options = parser.parse_args()
    figures = measure(options.n, options.cells, options.repeats)
    print("\n".join(f"{k:14s} {v}" for k, v in figures.items()))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
