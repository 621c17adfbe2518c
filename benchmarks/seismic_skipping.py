"""Which misfits and which ways through frequencies survive a start that is periods late.

    python benchmarks/seismic_skipping.py [--periods P ...] [--misfits NAME ...] [--ways NAME ...]
    python benchmarks/seismic_skipping.py --mismatch

A basin of the family ``marmousi-like``, 3600 m by 1500 m, two shots of 6 Hz, receivers every 50 m,
offsets up to 3.5 km. Data come from deepwave on nodes every 10 m with steps of .5 ms, are
high-passed at 5 Hz and have noise of 4 % of the root mean square of what is left; the inversion has
nodes every 50/3 m with steps of 1.33 ms and a low-pass at 8 Hz. Traces nearer than 100 m to their
source are left out: the two grids differ by more there than everywhere else together. The noise of
the inversion is that of the data and the mismatch of the two grids, which ``--mismatch`` measures
on other basins: by so much the noise of the data alone would have to be larger in that band.

The start is the section smoothed by 200 m with every velocity divided by 1 + ε, so that it is late
by ε times the time of travel: ε is such that the slowest first arrival, at the largest offset, is
late by the asked number of periods of the peak frequency. An error is the relative L2 distance of
sections smoothed by 200 m, which is what the data can tell; success is an end below half of that of
the start.

Ways: ``direct``, 5 to 8 Hz at once; ``bands``, 5 to 6 Hz first. Rows are kept in
``benchmarks/results/seismic_skipping.json`` and made once; a run is one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter
from seismic_fwi import HIGH_PASS, noise_level

from pdeinv.bayes.misfits import MisfitConfig, judged
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.seismic.marmousi import Basins
from pdeinv.rng import stream

RESULTS = Path(__file__).parent / "results" / "seismic_skipping.json"
LENGTHS, ENDS, SEED = (3600.0, 1500.0), (1500.0, 4500.0), 0
GRID, STEP, SMOOTH = (73, 31), 50.0, 200.0
LOW_PASS, FIRST, PEAK = 8.0, 6.0, 6.0
NEAREST = 100.0
COARSE: dict[str, Any] = {"spacing": 50 / 3}
FINE: dict[str, Any] = {"spacing": 10.0, "step": 0.0005}
"""Both have nodes where the field has its own, every 50 m."""
MISMATCH = 1.46
"""The noise that an inversion counts over that of the data; on three basins 1.27, 1.34, 1.46."""
OTHERS = (1, 2, 3)
"""Basins on which that is measured."""
PERIODS = (0.25, 0.5, 1.0, 2.0)
MISFITS: dict[str, dict[str, Any]] = {
    "least-squares": {},
    "sobolev": {"kind": "sobolev", "power": -2.0, "corner": 1.0},
    "envelope": {"kind": "envelope"},
    "correlation": {"kind": "correlation"},
}
BAND = MisfitConfig(above=HIGH_PASS, below=LOW_PASS)
WAYS = ("direct", "bands")
ITERATIONS = 16
SHOTS = (50.0, 3550.0)
SURVEY = {
    "preset": "marmousi-like",
    "lengths": LENGTHS,
    "cells": [45, 19],
    "survey": {
        "sources": [[x, 20.0] for x in SHOTS],
        "receivers": [[STEP * k, 20.0] for k in range(GRID[0])],
    },
}
PRIOR = {
    "kind": "bounded",
    "low": 1250.0,
    "high": 5000.0,
    "representation": "fft",
    "length": 300.0,
    "smoothness": 1.5,
    "grid": list(GRID),
    "std": 0.3,
    "top_std": 0.1,
}


def nodes() -> np.ndarray:
    """Of the inversion's field, by y, then x."""
    x, y = (np.linspace(0.0, length, n) for length, n in zip(LENGTHS, GRID, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def section(seed: int = SEED) -> np.ndarray:
    """The true velocity at the nodes, shape (y, x)."""
    law = Basins()
    basin = law.section(stream(seed, "basin").random(law.dim), LENGTHS, ENDS)
    return np.asarray(basin.velocity(*nodes().T)).reshape(GRID[::-1])


def smooth(v: np.ndarray) -> np.ndarray:
    """By a Gaussian of 200 m."""
    return np.asarray(gaussian_filter(v, SMOOTH / STEP, mode="nearest"))


def differences(unknown: dict[str, Any], spacing: float, step: float | None = None) -> Any:
    """The problem by deepwave on nodes so far apart."""
    waves = {"spacing": spacing, "accuracy": 8, "layer": 20, "precision": "float32"}
    table = {**SURVEY, "unknown": unknown, "model": "deepwave", "deepwave": waves}
    clock = {"final": 2.6, "fastest": PRIOR["high"], "step": step}
    return make_problem("seismic", {**table, "time": clock})


def places(nearest: float = NEAREST) -> dict[str, np.ndarray]:
    """Where data are, from that distance between source and receiver on."""
    problem = differences(PRIOR, **COARSE)
    at = {name: np.asarray(values) for name, values in problem.sensors("all").items()}
    shot, receiver = at["shot"].astype(int), at["receiver"].astype(int)
    way = problem.config.sources[shot] - problem.config.receivers[receiver]
    return {name: values[np.hypot(*way.T) >= nearest] for name, values in at.items()}


def clean(v: np.ndarray, at: dict[str, np.ndarray], grid: dict[str, Any]) -> np.ndarray:
    """Data without noise on a grid."""
    return np.asarray(differences(PRIOR, **grid).forward_model(at)(v.ravel()))


def records(v: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Where data are, their values with noise, and its σ."""
    at = places()
    values = clean(v, at, FINE)
    sigma = noise_level(at, values)
    noise = stream(SEED, "noise of the basin").standard_normal(len(values))
    return at, values + sigma * noise, sigma


def mismatch(seed: int, nearest: float) -> float:
    """By how many times noise would have to be larger to hold the difference of the grids."""
    at, v = places(nearest), section(seed)
    values = clean(v, at, FINE)
    law = judged(BAND, Noise(np.full(len(values), noise_level(at, values))), at)
    off = float(law.misfit(clean(v, at, COARSE), values))
    return float(np.sqrt(1 + off / (law.count / 2)))


def late(v: np.ndarray, periods: float) -> float:
    """ε of a start whose arrival at the largest offset is so many periods late.

    The ray is straight along the depth of the middle of the section: T is the offset by the mean
    velocity there.
    """
    offset = max(SHOTS)
    return periods / PEAK / (offset * float(np.mean(1 / smooth(v)[GRID[1] // 3])))


def background(v: np.ndarray, folder: Path) -> str:
    x, y = (np.linspace(0.0, length, n) for length, n in zip(LENGTHS, GRID, strict=True))
    coords = {"x": ("x", x, {"units": "m"}), "y": ("y", y, {"units": "m"})}
    field = xr.Dataset({"velocity": (("y", "x"), v, {"units": "m s-1"})}, coords)
    field.to_netcdf(folder / "start.nc")
    return str(folder / "start.nc")


def off(found: np.ndarray, v: np.ndarray) -> float:
    """The relative distance of the smoothed sections."""
    return float(np.linalg.norm(smooth(found) - smooth(v)) / np.linalg.norm(smooth(v)))


def searched(v: np.ndarray, data: Any, periods: float, misfit: str, way: str) -> dict[str, Any]:
    """A row of the table."""
    at, values, sigma = data
    start = smooth(v) / (1 + late(v, periods))
    config = BAND.model_copy(update=MISFITS[misfit])
    bands: dict[str, Any] = {"bands": (FIRST,), "band_iterations": ITERATIONS // 2}
    search = MapConfig(
        method="lbfgs",
        starts=1,
        max_iterations=ITERATIONS if way == "direct" else ITERATIONS // 2,
        tolerance=1e-3,
        **(bands if way == "bands" else {}),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        problem = differences({**PRIOR, "background": background(start, folder)}, **COARSE)
        model = WhitenedModel(problem.prior(), problem.forward_model(at))
        law = judged(config, Noise(np.full(len(values), MISMATCH * sigma)), at)
        posterior = Posterior(problem.prior(), model, values, law)
        cpu = time.process_time()
        found = run(Map(search), lambda: posterior, Run(SEED, folder / "run")).outcome
        cpu = time.process_time() - cpu
        first, last = (
            np.asarray(problem.on_grid(problem.prior().unwhiten(xi), GRID)).reshape(GRID[::-1])
            for xi in (np.zeros(posterior.dim), found.xi[0, 0])
        )
    return {
        "start": off(first, v),
        "final": off(last, v),
        "cpu": cpu,
        "gradients": posterior.counters.n_adjoint,
        "message": found.message,
    }


def kept() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def told(rows: dict[str, Any]) -> None:
    """Final over start error; a star where it is below half."""
    print(f"{'misfit':14} {'way':8}" + "".join(f"{p:>9g} T" for p in PERIODS) + "   CPU s")
    for misfit, way in product(MISFITS, WAYS):
        own = [rows.get(f"{misfit}/{way}/{p:g}") for p in PERIODS]
        if not any(own):
            continue
        ratios = [None if r is None else r["final"] / r["start"] for r in own]
        cells = ("" if q is None else f"{q:.2f}{' *'[q < 0.5]}" for q in ratios)
        cpu = np.median([r["cpu"] for r in own if r])
        print(f"{misfit:14} {way:8}" + "".join(f"{c:>11}" for c in cells) + f"{cpu:8.0f}")


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said.add_argument("--periods", nargs="*", type=float, default=PERIODS)
    said.add_argument("--misfits", nargs="*", default=list(MISFITS), choices=MISFITS)
    said.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS)
    said.add_argument("--mismatch", action="store_true", help="of the two grids, and end")
    given = said.parse_args()
    if given.mismatch:
        for seed in OTHERS:
            far, whole = mismatch(seed, NEAREST), mismatch(seed, 0.0)
            print(f"basin {seed}: noise {far:.2f} times, of all traces {whole:.1f}", flush=True)
        return
    v, data = section(), None
    for periods, misfit, way in product(given.periods, given.misfits, given.ways):
        key = f"{misfit}/{way}/{periods:g}"
        if key in kept():
            continue
        data = data or records(v)
        row = searched(v, data, periods, misfit, way)
        print(key, json.dumps(row), flush=True)
        rows = {**kept(), key: row}  # another process may have made some meanwhile
        RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    told(kept())


if __name__ == "__main__":
    main()
