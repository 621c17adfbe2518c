"""What a second worker gives: pcn, hmc, two-level and generate with one and with two.

    python benchmarks/workers.py            # about fifteen minutes
    python benchmarks/workers.py --only hmc # the other rows of the table stay

Darcy on 65² nodes, 16 chains; a job takes more than a minute with one worker, those named "short"
some seconds. What two processes can give on this machine is measured in the same minutes: twice the
work of a plain loop in two processes, against one, and the same of the solves of these jobs, eight
rows at a time, which share caches and memory as well. Wall time, start of the command included; the
numbers of both runs are the same, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.jobs.invert.request import Inversion

RESULTS = Path(__file__).parent / "results" / "workers.json"
PDEINV = Path(sys.executable).with_name("pdeinv")
CASE = ("--set", "problem.cells=64")
JOBS: dict[str, tuple[str, ...]] = {
    "hmc": ("engine.chains=16", "engine.draws=5000"),
    "pcn": ("engine.chains=16", "engine.draws=16000", "engine.warmup=500", "engine.thin=10",
            "engine.proposal='laplace'"),
    "two-level": ("engine.chains=16", "engine.draws=1900", "engine.warmup=10"),
    "generate": ("150000",),
    "hmc, short": ("engine.chains=16", "engine.draws=100", "engine.warmup=100"),
    "generate, short": ("400",),
}  # fmt: skip
"""Options of the engine, or how many samples."""

GUIDED = ("hmc", "two-level", "hmc, short")
"""Jobs that ask for gradients."""

SPIN, BATCHES = 30_000_000, 1500


def spin(n: int) -> None:
    for _ in range(n):
        pass


def possible() -> float:
    """How much more two processes do than one, of a plain loop."""
    context, spent = get_context("spawn"), []
    for count in (1, 2):
        began = time.perf_counter()
        jobs = [context.Process(target=spin, args=(SPIN,)) for _ in range(count)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        spent.append(time.perf_counter() - began)
    return 2 * spent[0] / spent[1]


def solve(obs: Path, gradient: bool, ready: Any, told: Any) -> None:
    """Solves of eight rows, again and again, from when all processes are ready."""
    posterior = Inversion.resolve({"engine": {"name": "hmc"}}, obs).recipe()()
    xis = np.random.default_rng(0).standard_normal((8, posterior.dim))
    ask = posterior.linearize_rows if gradient else posterior.predict_rows
    ask(xis)
    ready.wait()
    began = time.perf_counter()
    for _ in range(BATCHES):
        ask(xis)
    told.put(time.perf_counter() - began)


def possible_solves(obs: Path, gradient: bool) -> float:
    """How much more two processes do than one, of solves, with gradients or without."""
    context, spent = get_context("spawn"), []
    for count in (1, 2):
        ready, told = context.Barrier(count), context.Queue()
        jobs = [
            context.Process(target=solve, args=(obs, gradient, ready, told)) for _ in range(count)
        ]
        for job in jobs:
            job.start()
        spent.append(max(told.get() for _ in jobs))
        for job in jobs:
            job.join()
    return 2 * spent[0] / spent[1]


def run(*words: object) -> float:
    began = time.perf_counter()
    done = subprocess.run([PDEINV, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return time.perf_counter() - began


def job(name: str, folder: Path, workers: int) -> tuple[float, Path]:
    """The time that the job takes, and what it writes."""
    verb, options = name.partition(",")[0], JOBS[name]
    out = folder / f"{verb}{len(name)}{workers}.nc"
    common = ("--seed", 1, "--workers", workers, "--out", out)
    if verb == "generate":
        return run("generate", "--obs", folder / "obs.nc", "--n", *options, *common), out
    given = [word for text in options for word in ("--set", text)]
    return run("invert", folder / "obs.nc", "--engine", verb, *given, *common), out


def content(file: Path) -> Any:
    """What has to be the same: draws, or the data of samples."""
    tree = xr.open_datatree(file)
    if "posterior" in tree.children:
        return tree["unconstrained_posterior"]["xi"].values
    data = tree.to_dataset()
    found = [v.values for v in data.data_vars.values() if v.dims[:1] == ("sample",)]
    return np.concatenate([v.reshape(len(v), -1) for v in found if v.dtype == float], axis=1)


def measured(name: str, folder: Path) -> dict[str, Any]:
    ceiling, solves = possible(), possible_solves(folder / "obs.nc", name in GUIDED)
    (one, first), (two, second) = (job(name, folder, w) for w in (1, 2))
    same = bool(np.array_equal(content(first), content(second)))
    gained = one / two
    print(f"{name:15} one {one:6.1f} s, two {two:6.1f} s: {gained:.2f} x of {ceiling:.2f} x "
          f"({gained / ceiling:.2f}), of solves {solves:.2f} x ({gained / solves:.2f}), "
          f"same bits: {same}", flush=True)  # fmt: skip
    return {
        "job": name,
        "one": one,
        "two": two,
        "gained": gained,
        "possible": ceiling,
        "possible of solves": solves,
        "same": same,
    }


def merged(file: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The new rows and those of other jobs that the file holds, in the order of the jobs."""
    held = json.loads(file.read_text()) if file.exists() else []
    by_job = {row["job"]: row for row in [*held, *rows]}
    return [by_job[name] for name in JOBS if name in by_job]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=JOBS, default=list(JOBS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        truth, obs = folder / "truth.nc", folder / "obs.nc"
        run("solve", "darcy", *CASE, "--seed", 1, "--out", truth)
        run("observe", truth, "--sensors", "grid:12x12", "--noise-rel", 0.02, "--seed", 1,
            "--out", obs)  # fmt: skip
        table = [measured(name, folder) for name in args.only]
    args.out.write_text(json.dumps(merged(args.out, table), indent=1) + "\n")


if __name__ == "__main__":
    main()
