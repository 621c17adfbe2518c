"""How `generate` scales from one worker process to two, and what the other executors take.

    python benchmarks/generate_scaling.py                # a few minutes
    python benchmarks/generate_scaling.py --n 2000 --cells 64
    python benchmarks/generate_scaling.py --executors    # two workers of each kind instead

Case: Darcy on P1 triangles, log-Gaussian conductivity, 144 sensors. The times include everything
that the command does after it has read its options: starting the processes, importing the
finite-element library in each, building the model, solving, writing batches and the data set.
Compiled forms are cached beforehand by one small run. Runs alternate; the best of each counts. Two
idle cores are needed: `load_before` tells how busy the machine was.

With `--executors` each runs as the command does, start of the interpreter included: two processes,
three MPI ranks of which one hands out, two array tasks of submitit's local executor, and two
processes of a dask cluster. `cpu` counts all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.io import netcdf
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import make_problem


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


CONFIG = '[problem]\nname = "darcy"\ncells = {cells}\n'
MPIEXEC = str(Path(sys.executable).with_name("mpiexec"))
EXECUTORS = {
    "process": ([], ["--workers", "2"]),
    "mpi": ([MPIEXEC, "-n", "3"], ["--executor", "mpi"]),
    "slurm (local)": (
        [],
        ["--executor", "slurm", "--set", "executor.cluster=local", "--workers", "2"],
    ),
    "dask": ([], ["--executor", "dask", "--workers", "2"]),
}


def one_executor(name: str, n: int, folder: Path) -> dict[str, object]:
    """Wall and CPU time of the command, and the hashes of its shards."""
    before, words = EXECUTORS[name]
    out = name.partition(" ")[0] + ".nc"
    command = [*before, sys.executable, "-m", "pdeinv", "generate", "--config", "run.toml", "-q"]
    options = ["--sensors", "grid:12x12", "--n", str(n), "--seed", "0", "--out", out, *words]
    begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    shards = json.loads((folder / f"{out}.run" / "manifest.json").read_text())["shards"]
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu": round(spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime, 1),
        "shards": [facts["sha256"] for facts in shards.values()],
    }


def compare_executors(n: int, cells: int) -> dict[str, object]:
    """Every executor on the same data set, after one run that compiles the forms."""
    figures: dict[str, object] = {
        "n": n,
        "cells": cells,
        "load_before": round(os.getloadavg()[0], 1),
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run.toml").write_text(CONFIG.format(cells=cells))
        one_executor("process", 4, folder)
        shutil.rmtree(folder / "process.nc.run")
        (folder / "process.nc").unlink()
        found = {kind: one_executor(kind, n, folder) for kind in EXECUTORS}
    for kind, facts in found.items():
        same = facts["shards"] == found["process"]["shards"]
        figures[kind] = f"{facts['seconds']} s, cpu {facts['cpu']} s, bitwise equal {same}"
    return figures


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=4000, help="samples")
    parser.add_argument("--cells", type=int, default=128, help="cells along each side")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the figures here as JSON")
    parser.add_argument("--executors", action="store_true", help="compare the executors instead")
    options = parser.parse_args()
    if options.executors:
        figures = compare_executors(options.n, options.cells)
    else:
        figures = measure(options.n, options.cells, options.repeats)
    print("\n".join(f"{k:14s} {v}" for k, v in figures.items()))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
