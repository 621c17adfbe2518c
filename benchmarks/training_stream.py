"""What it costs to train from a file instead of from memory.

An operator is trained on coefficient and field of a NetCDF file, once held in memory and once read
row by row by the thread that reads ahead; each in a process of its own, for its peak memory. The
fields are smooth random ones: only their sizes matter here.

    python benchmarks/training_stream.py --n 20000 --grid 64
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import netCDF4
import numpy as np

from pdeinv.io.rows import FileRows
from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.common.torch_env import seeded
from pdeinv.surrogates.operators.network import Architecture, build
from pdeinv.surrogates.training.config import Data, TrainingConfig
from pdeinv.surrogates.training.minibatches import Rows, moments
from pdeinv.surrogates.training.train import train

BLOCK = 64


def write(path: Path, n: int, grid: int) -> None:
    """Two variables (sample, grid, grid), one chunk a sample as pdeinv writes them."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, grid)
    waves = np.stack([np.outer(np.sin(i * t), np.cos(j * t)) for i in (1, 3) for j in (2, 5)])
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("sample", n), ("y", grid), ("x", grid)):
            file.createDimension(name, size)
        parts = [
            file.createVariable(v, "f8", ("sample", "y", "x"), chunksizes=(1, grid, grid))
            for v in ("coefficient", "field")
        ]
        for i in range(0, n, BLOCK):
            k = min(BLOCK, n - i)
            c = rng.standard_normal((k, 4))
            parts[0][i : i + k] = np.einsum("kw,wyx->kyx", c, waves)
            parts[1][i : i + k] = np.einsum("kw,wyx->kyx", np.tanh(c), waves)


def measure(path: Path, streams: bool, grid: int, width: int) -> dict[str, float]:
    """One epoch; speed, share of waiting, and peak memory of this process."""
    with netCDF4.Dataset(path) as file:
        n = len(file.dimensions["sample"])
    x, y = (FileRows(path, v, np.arange(n)) for v in ("coefficient", "field"))
    if not streams:
        x, y = np.asarray(x), np.asarray(y)
    split = np.split(np.random.default_rng(1).permutation(n), [n - n // 10])
    scales = [moments(a, np.sort(split[0])) for a in (x, y)]
    parts = [
        Rows((a,), np.sort(rows), lambda v, s=s: (v - s.centre) / s.spread)
        for rows in split
        for a, s in zip((x, y), scales, strict=True)
    ]
    data = Data(*(parts if streams else (p[:] for p in parts)))
    shape = Architecture((12, 12), width, 4, 0.0)
    module = seeded(0, "net", 0, lambda: build(shape, np.ones((grid, grid))))
    seen = []
    config = TrainingConfig(epochs=1, batch_size=16)
    train(module, data, lambda p, t: (p - t).square().mean(), config, 0, FitRun(watch=seen.append))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"samples_per_second": seen[0].samples_per_second, "waiting": seen[0].waiting,
            "seconds": seen[0].seconds, "peak_MiB": peak, "valid": seen[0].valid}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20000)
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--how", choices=("memory", "file"))
    a = parser.parse_args()
    if a.how:
        print(json.dumps(measure(a.file, a.how == "file", a.grid, a.width)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.nc"
        write(path, a.n, a.grid)
        print(f"{a.n} samples of 2 x {a.grid}^2 values, {path.stat().st_size / 2**20:.0f} MiB")
        print("from    samples/s  waiting  seconds  peak MiB  validation loss")
        for how in ("memory", "file"):
            words = [sys.executable, __file__, "--file", str(path), "--how", how]
            words += ["--grid", str(a.grid), "--width", str(a.width)]
            found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
            print(
                f"{how:7s} {found['samples_per_second']:9.1f} {100 * found['waiting']:7.2f}% "
                f"{found['seconds']:8.1f} {found['peak_MiB']:9.0f}  {found['valid']:.6g}"
            )


if __name__ == "__main__":
    main()
