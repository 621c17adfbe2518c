"""Learned velocity images of held-out sections: mean image, Wiener filter, networks.

    python benchmarks/seismic_learned.py work            # goes on where it was stopped
    python benchmarks/seismic_learned.py work --pairs 4096 --epochs 60 --models 32 --polished 8

The survey is the preset ``openfwi`` with every second receiver and 100 times, 10 ms apart (Nyquist
50 Hz, wavelet 15 Hz); traces nearer than 30 m to their source are left out. Training: sections of
the family by the fast model (deepwave, nodes 10 m apart, order 8, single precision), images on 70 x
70 nodes. Test: other sections of the family, and of a family with faults that no training saw, by
spectral elements of half the size; noise of 5 % of the rms of the data. How far the two models
differ is a row. Errors are those of OpenFWI: mean absolute error as a share of 1500 m/s, and SSIM;
means over models. A polished row is the estimate after L-BFGS with the fast model.

Every row is kept in WORK/rows.json as soon as it is there; what is missing is printed at the end.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from learned_parts.kept import Kept, command
from seismic_fwi import FAST, FINE, NODES, centres, figures, nodes, velocity

from pdeinv.bayes.noise import Noise
from pdeinv.config import dump_toml
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.provenance import attributes
from pdeinv.rng import stream

SEED = 21
FAMILY, OTHER = "curvevel-a", "curvefault-a"
SENSORS = "receivers:0-69/2@0.01:1.0:100"
NEAREST, NOISE = 30.0, 0.05
NETWORKS = ("inversion-net", "latent-unet", "x-net", "lin-fno", "nio")
MEMBERS = ("average-image", "linear-image", *NETWORKS)
SURVEY = {"preset": "openfwi", "time": {"record": 0.01}, **FAST}
"""As ``generate`` keeps it: records no denser than the data that are asked for."""
TRAINING = {**SURVEY, "unknown": {"kind": "family", "family": FAMILY}}
FIELD = {
    "kind": "bounded", "low": 1400.0, "high": 4600.0, "length": 60.0, "smoothness": 1.5,
    "modes": 600, "grid": [36, 36], "std": 0.8, "background": [3000.0, 3000.0],
}  # fmt: skip
CELLS = {"kind": "piecewise", "cells": [FINE, FINE], "mean": np.log(2500.0), "std": 0.1}
TRUE = {"preset": "openfwi", "unknown": CELLS, "time": {"fastest": 4600.0}}
"""Sections as they are, in cells of the finest size."""
POLISH = {"polish": "lbfgs", "max_iterations": 30}


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@dataclass
class Bench(Kept):
    """With the test sections."""

    models: int
    polished: int

    @cached_property
    def sensors(self) -> dict[str, np.ndarray]:
        """Shot, receiver and time of each datum."""
        problem = make_problem("seismic", TRAINING)
        at = {name: np.asarray(v) for name, v in problem.sensors(SENSORS).items()}
        shot, receiver = at["shot"].astype(int), at["receiver"].astype(int)
        way = problem.config.sources[shot] - problem.config.receivers[receiver]
        kept = np.hypot(*way.T) >= NEAREST
        return {name: values[kept] for name, values in at.items()}

    @cached_property
    def sigma(self) -> float:
        """Of the noise: a share of the rms of all test data of the family."""
        return NOISE * rms(self.tests(FAMILY))

    def tests(self, family: str) -> np.ndarray:
        """Data without noise of the test sections, by spectral elements."""
        path = self.work / f"tests-{family}-{self.models}.npz"
        if not path.exists():
            model = make_problem("seismic", {**TRUE, "cells": 46}).forward_model(self.sensors)
            at = centres(FINE)
            values = [model(velocity(family, k, at)) for k in range(self.models)]
            np.savez(path, values=np.stack(values))
        with np.load(path) as found:
            return found["values"]

    def observed(self, family: str) -> np.ndarray:
        """With their noise."""
        clean = self.tests(family)
        return clean + self.sigma * stream(SEED, f"noise-{family}").standard_normal(clean.shape)

    def write(self, path: Path, values: np.ndarray) -> None:
        """One measurement as an observation file."""
        problem = make_problem("seismic", TRAINING)
        sigma = np.full(len(values), self.sigma)
        seen = Observations(problem.observed, values, self.sensors, Noise(sigma))
        netcdf.write(path, to_dataset(seen, attributes({}, SEED)))


def prepare(bench: Bench) -> None:
    """The pairs."""
    bench.work.mkdir(parents=True, exist_ok=True)
    run, seen = bench.work / "run.toml", bench.work / "sensors.nc"
    run.write_text(dump_toml({"problem": {"name": "seismic", **TRAINING}}))
    if not bench.data.exists():
        bench.write(seen, bench.observed(FAMILY)[0])
        size = f"{NODES}x{NODES}"
        flags = ("--grid", size, "--seed", SEED, "--workers", 2, "--out", bench.data)
        spent = command("generate", "-c", run, "--obs", seen, "--n", bench.pairs, *flags)
        bench.keep(f"pairs {bench.pairs}", {"cpu_seconds": round(spent, 1)})


def truths(bench: Bench, family: str) -> np.ndarray:
    """Velocities of the test sections at the nodes of the images."""
    return np.stack([velocity(family, k, nodes()) for k in range(bench.models)])


def mean_figures(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    shape = (NODES, NODES)
    each = [figures(a.reshape(shape), b.reshape(shape)) for a, b in zip(found, truth, strict=True)]
    return {k: round(float(np.mean([e[k] for e in each])), 4) for k in each[0]}


def mismatch(bench: Bench) -> None:
    """How far the fast model is from the test data, as a share of their rms."""
    if "mismatch" in bench.rows:
        return
    fast = make_problem("seismic", {**TRUE, **FAST})
    model, count = fast.forward_model(bench.sensors), min(4, bench.models)
    found = np.stack([model(velocity(FAMILY, k, centres(FINE))) for k in range(count)])
    share = rms(found - bench.tests(FAMILY)[:count]) / rms(bench.tests(FAMILY))
    bench.keep("mismatch", {"share_of_rms": round(share, 4), "noise": NOISE, "models": count})


def train(bench: Bench, name: str) -> Path:
    """The trained member; kept, with its CPU seconds."""
    folder = bench.work / f"{name}-{bench.pairs}"
    key = f"training of {name}, {bench.pairs} pairs"
    if key in bench.rows:
        return folder
    begun = (folder.parent / f"{folder.name}.run").exists()
    flags = ["--set", f"surrogate.epochs={bench.epochs}"] if name in NETWORKS else []
    spent = command("train-surrogate", name, "--data", bench.data, "--seed", SEED, *flags,
                    "--resume" if begun else "--overwrite", "--out", folder)  # fmt: skip
    facts = load_surrogate(folder).metadata
    bench.keep(key, {"cpu_seconds": round(spent, 1), **facts["errors"],
                     "epochs": facts["extra"].get("epochs")})  # fmt: skip
    return folder


def alone(bench: Bench, name: str, family: str) -> None:
    """What one evaluation gives."""
    key = f"{name}, {family}, {bench.pairs} pairs"
    folder = train(bench, name)
    if key in bench.rows:
        return
    problem = make_problem("seismic", TRAINING)
    bound = load_surrogate(folder).bind(problem, problem.prior(), bench.sensors)
    data = bench.observed(family)
    found, truth = bound(data, np.full(data.shape[1], bench.sigma)), truths(bench, family)
    held = float(np.mean(np.abs(found.mean - truth) <= 1.645 * found.std))
    more = {"held_by_bands": round(held, 3), "flagged": float(np.mean(found.likeness < 0.05))}
    bench.keep(key, {**mean_figures(found.mean, truth), **more, "models": bench.models})


def polished(bench: Bench, name: str, family: str) -> None:
    """The estimate in a field, then after the polish, through files and the verb's own job."""
    key = f"{name} + polish, {family}, {bench.pairs} pairs"
    if key in bench.rows or not bench.polished:
        return
    folder, table = train(bench, name), {"name": "seismic", **SURVEY, "unknown": FIELD}
    problem, path = make_problem("seismic", {**SURVEY, "unknown": FIELD}), bench.work / "obs.nc"
    truth, spent, rows = truths(bench, family)[: bench.polished], 0.0, []
    for k in range(bench.polished):
        bench.write(path, bench.observed(family)[k])
        tables = {"seed": SEED, "problem": table, "engine": {"name": name, **POLISH},
                  "surrogate": {"path": str(folder)}}  # fmt: skip
        tree = invert(Inversion.resolve(tables, path), bench.work / "result.nc", overwrite=True)
        summary = json.loads(tree.attrs["pdeinv_summary"])
        xi = tree["posterior"]["xi"].values.ravel()
        image = problem.on_grid(problem.prior().unwhiten(xi), (NODES, NODES)).ravel()
        rows.append((image, summary["misfit_per_datum"], summary["iterations"]))
        spent += float(tree.attrs["pdeinv_cpu_seconds"])
    images, misfits, steps = zip(*rows, strict=True)
    bench.keep(key, {**mean_figures(np.stack(images), truth),
                     "misfit_per_datum": round(float(np.mean(misfits)), 3),
                     "steps": float(np.mean(steps)), "models": bench.polished,
                     "cpu_seconds_each": round(spent / bench.polished, 1)})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--pairs", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--models", type=int, default=8, help="test sections of each family")
    parser.add_argument("--polished", type=int, default=2, help="of them that are polished")
    bench = Bench(**vars(parser.parse_args()))
    bench.work.mkdir(parents=True, exist_ok=True)
    prepare(bench)
    mismatch(bench)
    for name in MEMBERS:
        for family in (FAMILY, OTHER):
            alone(bench, name, family)
    for family in (FAMILY, OTHER):
        for name in NETWORKS:
            polished(bench, name, family)
    print("all rows are there; more: --pairs, --epochs, --models, --polished")


if __name__ == "__main__":
    main()
