"""What a second worker gives: pcn, hmc, two-level and generate with one and with two.

    python benchmarks/workers.py            # about fifteen minutes
    python benchmarks/workers.py --only hmc

Darcy on 65² nodes, 16 chains; each job takes about a minute with one worker. What two processes can
give on this machine is measured in the same minute: twice the work of a plain loop in two
processes, against one. Wall time, start of the command included; the numbers of both runs are the
same, bit for bit.
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

RESULTS = Path(__file__).parent / "results" / "workers.json"
PDEINV = Path(sys.executable).with_name("pdeinv")
CASE = ("--set", "problem.cells=64")
JOBS: dict[str, tuple[str, ...]] = {
    "hmc": ("engine.chains=16", "engine.draws=5000", "engine.warmup=200"),
    "pcn": ("engine.chains=16", "engine.draws=6000", "engine.warmup=500", "engine.thin=10",
            "engine.proposal='laplace'"),
    "two-level": ("engine.chains=16", "engine.draws=300", "engine.warmup=10"),
    "generate": (),
}  # fmt: skip
SAMPLES = 120_000
SPIN = 30_000_000


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


def run(*words: object) -> float:
    began = time.perf_counter()
    done = subprocess.run([PDEINV, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return time.perf_counter() - began


def job(name: str, folder: Path, workers: int) -> tuple[float, Path]:
    """The time that the job takes, and what it writes."""
    out = folder / f"{name}{workers}.nc"
    common = ("--seed", 1, "--workers", workers, "--out", out)
    if name == "generate":
        return run("generate", "--obs", folder / "obs.nc", "--n", SAMPLES, *common), out
    options = [word for text in JOBS[name] for word in ("--set", text)]
    return run("invert", folder / "obs.nc", "--engine", name, *options, *common), out


def content(file: Path) -> Any:
    """What has to be the same: draws, or samples."""
    tree = xr.open_datatree(file)
    found = tree["unconstrained_posterior"]["xi"] if "posterior" in tree.children else tree["xi"]
    return found.values


def measured(name: str, folder: Path) -> dict[str, Any]:
    ceiling = possible()
    (one, first), (two, second) = (job(name, folder, w) for w in (1, 2))
    same = bool(np.array_equal(content(first), content(second)))
    gained = one / two
    print(f"{name:10} one {one:6.1f} s, two {two:6.1f} s: {gained:.2f} x of {ceiling:.2f} x "
          f"({gained / ceiling:.2f}), same bits: {same}", flush=True)  # fmt: skip
    return {
        "job": name,
        "one": one,
        "two": two,
        "gained": gained,
        "possible": ceiling,
        "same": same,
    }


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
    args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
