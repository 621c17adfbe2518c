"""Learned and classical inverse scattering between walls: from normal derivatives to the medium.

    python benchmarks/scattering_learned.py work            # goes on where it was stopped
    python benchmarks/scattering_learned.py work --pairs 4096 --tests 200 --minutes 20 --cases 8
    python benchmarks/scattering_learned.py work --law bumps --only nio lin-fno

The setting of neural inverse operators (Molinaro et al. 2023): ∇²u + k²n u = 0 in the unit square,
k = 2π, u = cos(k d·x) on the sides for 20 directions d over half a circle, ∂u/∂n at 68 points of
each side (5440 data), n on 70 x 70 nodes. Their law of media is not in their code, so these are our
own: ``fields``, Gaussian contrasts that keep clear of the closed square's resonances, and
``bumps``, three Gaussian bumps. Training: draws of the law from the mesh of level 0. Test: other
draws from the mesh of level 1, noise of 1 and 5 % of the rms of all data. Errors are relative to
each truth, medians over cases of n. MAP (under the true law where it is a field) and the misfit of
every estimate, by a solve, see the first few cases alone; Φ over the number of data is .5 where the
data are explained. ``--minutes`` gives each network as many epochs as one thread does in so many
CPU minutes.

Every row is kept in WORK/rows.json as soon as it is there; what is missing is printed at the end.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from learned_parts.kept import Kept, command, epochs_within

from pdeinv.bayes.noise import Noise
from pdeinv.config import dump_toml
from pdeinv.io import datasets, netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.provenance import attributes
from pdeinv.rng import stream

SEED = 31
NODES, WAVES, PLACES = 70, 20, 68
LEVELS = (0.01, 0.05)
WALLS = {
    "element": "P4", "cells": 10, "wavenumbers": [2 * np.pi], "measure": "normal-derivative",
    "total": True, "truncation": {"kind": "dirichlet"},
    "incident": {"kind": "plane", "angles": [180.0 * i / WAVES for i in range(WAVES)]},
}  # fmt: skip
FIELD = {"kind": "gaussian", "mean": 0.55, "std": 0.1, "length": 0.2, "modes": 40}
LAWS = {
    "fields": FIELD,
    "bumps": {"kind": "bumps", "count": 3, "amplitude": [0.1, 0.5], "width": [0.05, 0.1]},
}
SEARCHED = {
    "fields": FIELD,
    "bumps": {"kind": "gaussian", "std": 0.15, "length": 0.15, "modes": 100},
}
"""Fields of the engines that search: the law itself where it is one."""
CONSTANT = {"mean image": {"statistic": '"mean"'}, "median image": {}}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "lin-fno": ("lin-fno", {"members": 1}),
    "inverse-deeponet": ("inverse-deeponet", {}),
    "inverse-fcnn": ("inverse-fcnn", {}),
    "nio": ("nio", {}),
    "nio as published": ("nio", {"form": '"paper"'}),
}
MEMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{label: ("average-image", options) for label, options in CONSTANT.items()},
    "Wiener": ("linear-image", {}),
    **NETWORKS,
}
ENGINES: dict[str, dict[str, Any]] = {
    "MAP": {"engine": {"name": "map"}},
    "fitted-prior MAP": {
        "engine": {"name": "average-image", "polish": "family", "max_iterations": 8}
    },
}


@dataclass
class Bench(Kept):
    """With the test cases and what is wanted of them."""

    tests: int
    cases: int
    law: str = "fields"
    minutes: float | None = None
    only: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """The pairs of this law."""
        return self.work / f"pairs-{self.law}-{self.pairs}.nc"

    @cached_property
    def problem(self) -> Any:
        """That of trainings and tests."""
        return make_problem("helmholtz", {**WALLS, "unknown": LAWS[self.law]})

    @cached_property
    def sensors(self) -> dict[str, np.ndarray]:
        """Of the real parts, which are the response to cos(k d·x)."""
        whole = self.problem.sensors(f"boundary:{PLACES}")
        return {name: values[whole["component"] == 0] for name, values in whole.items()}

    @cached_property
    def scale(self) -> float:
        """The rms of all data of the training."""
        return float(np.sqrt(np.mean(datasets.read(self.data).values ** 2)))

    @cached_property
    def truth(self) -> np.ndarray:
        """n of the test cases at the nodes, (tests, nodes)."""
        shape = (NODES, NODES)
        return 1.0 + np.stack([self.problem.on_grid(m, shape).ravel() for m in self.draws])

    @cached_property
    def draws(self) -> np.ndarray:
        """Unknowns of the test cases."""
        prior = self.problem.prior()
        return prior.unwhiten(stream(SEED, "test").standard_normal((self.tests, prior.dim)))

    @cached_property
    def values(self) -> np.ndarray:
        """Their data without noise, from the finer mesh."""
        path = self.work / f"tests-{self.law}-{self.tests}.npz"
        if not path.exists():
            model = self.problem.forward_model(self.sensors, 1)
            np.savez(path, values=np.stack([model(m) for m in self.draws]))
        with np.load(path) as found:
            return found["values"]

    def observed(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Test data at a level of noise, and σ."""
        noise = stream(SEED, f"noise-{level}").standard_normal(self.values.shape)
        sigma = level * self.scale
        return self.values + sigma * noise, np.full(noise.shape[1], sigma)

    def write(self, path: Path, values: np.ndarray, sigma: np.ndarray) -> None:
        """One measurement as an observation file."""
        seen = Observations(self.problem.observed, values, self.sensors, Noise(sigma))
        netcdf.write(path, to_dataset(seen, attributes({}, SEED)))

    def wants(self, label: str) -> bool:
        """Whether a row is asked for."""
        return not self.only or label in self.only

    def named(self, label: str) -> str:
        """The key of a row that is trained."""
        budget = f", {self.minutes:g} min" if self.minutes and label in NETWORKS else ""
        return f"{self.law}, {label}, {self.pairs} pairs{budget}"


def prepare(bench: Bench) -> None:
    """The pairs."""
    bench.work.mkdir(parents=True, exist_ok=True)
    run, seen = bench.work / "run.toml", bench.work / "sensors.nc"
    table = {"name": "helmholtz", **WALLS, "unknown": LAWS[bench.law]}
    run.write_text(dump_toml({"problem": table}))
    if not bench.data.exists():
        bench.write(seen, bench.values[0], np.full(bench.values.shape[1], 0.01))
        flags = ("--grid", f"{NODES}x{NODES}", "--seed", SEED, "--out", bench.data)
        spent = command("generate", "-c", run, "--obs", seen, "--n", bench.pairs, *flags)
        bench.keep(f"{bench.law}, pairs {bench.pairs}", {"cpu_seconds": round(spent, 1)})


def errors(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Median relative errors of images in percent."""
    off = found - truth
    l1 = np.abs(off).sum(axis=1) / np.abs(truth).sum(axis=1)
    l2 = np.linalg.norm(off, axis=1) / np.linalg.norm(truth, axis=1)
    return {k: round(100 * float(np.median(v)), 2) for k, v in (("l1", l1), ("l2", l2))}


def taught(bench: Bench, label: str, options: dict[str, Any], folder: Path, how: str) -> float:
    """Train into a folder; CPU seconds."""
    flags = [w for k, v in options.items() for w in ("--set", f"surrogate.{k}={v}")]
    flags += ["--noise-std", str(LEVELS[0] * bench.scale), how, "--out", folder]
    name = MEMBERS[label][0]
    return command("train-surrogate", name, "--data", bench.data, "--seed", SEED, *flags)


def options_of(bench: Bench, label: str) -> dict[str, Any]:
    """Those of the surrogate, with as many epochs as are asked for."""
    options = MEMBERS[label][1]
    if label not in NETWORKS:
        return options
    epochs, trial = bench.epochs, bench.work / "trial"
    if bench.minutes is not None:
        epochs = epochs_within(
            bench.minutes,
            lambda n: taught(bench, label, {**options, "epochs": n}, trial, "--overwrite"),
        )
    return {**options, "epochs": epochs, "patience": epochs}


def train(bench: Bench, label: str) -> Path:
    """The trained member; kept, with its CPU seconds."""
    key = f"training of {bench.named(label)}"
    folder = bench.work / bench.named(label).replace(", ", "-").replace(" ", "-")
    if key in bench.rows:
        return folder
    begun = (folder.parent / f"{folder.name}.run").exists()
    how = "--resume" if begun else "--overwrite"
    spent = taught(bench, label, options_of(bench, label), folder, how)
    facts = load_surrogate(folder).metadata
    more = {k: facts["extra"][k] for k in ("epochs", "parameters") if k in facts["extra"]}
    bench.keep(key, {"cpu_seconds": round(spent, 1), **more, **facts["errors"]})
    return folder


def learned(bench: Bench, label: str) -> None:
    """Every level of one member: all test cases by one evaluation, the first few by the engine."""
    folder = train(bench, label)
    bound = load_surrogate(folder).bind(bench.problem, bench.problem.prior(), bench.sensors)
    for level in LEVELS:
        key = f"{bench.named(label)}, noise {100 * level:g} %"
        if key in bench.rows:
            continue
        found, truth = bound(*bench.observed(level)), bench.truth
        held = np.abs(1.0 + found.mean - truth) <= 1.645 * found.std
        engine = {"engine": {"name": MEMBERS[label][0]}, "surrogate": {"path": str(folder)}}
        _, more = inverted(bench, level, engine)
        bench.keep(key, {**errors(1.0 + found.mean, truth), "tests": bench.tests,
                         "held_by_bands": round(float(held.mean()), 3),
                         "flagged": float(np.mean(found.likeness < 0.05)), **more})  # fmt: skip


def inverted(
    bench: Bench, level: float, tables: dict[str, Any]
) -> tuple[np.ndarray, dict[str, float]]:
    """n by an engine for the first cases, through observation files and the verb itself."""
    data, sigma = bench.observed(level)
    config = {**WALLS, "unknown": SEARCHED[bench.law]}
    table, problem = {"name": "helmholtz", **config}, make_problem("helmholtz", config)
    shape, images, misfits, spent = (NODES, NODES), [], [], 0.0
    for k in range(bench.cases):
        bench.write(bench.work / "obs.nc", data[k], sigma)
        asked = Inversion.resolve({"seed": SEED, "problem": table, **tables}, bench.work / "obs.nc")
        tree = invert(asked, bench.work / "result.nc", overwrite=True)
        m = tree["estimates"]["contrast_mean"].values.ravel()
        images.append(1.0 + problem.on_grid(m, shape).ravel())
        misfits.append(float(tree["sample_stats"]["misfit"].mean()) / len(sigma))
        spent += float(tree.attrs["pdeinv_cpu_seconds"])
    return np.stack(images), {
        "misfit_per_datum": round(float(np.median(misfits)), 3),
        "cpu_seconds_each": round(spent / bench.cases, 2),
        "cases": bench.cases,
    }


def classical(bench: Bench, label: str) -> None:
    """An engine that searches, on the first cases."""
    tables = ENGINES[label]
    if label == "fitted-prior MAP":
        tables = {**tables, "surrogate": {"path": str(train(bench, "mean image"))}}
    for level in LEVELS:
        key = f"{bench.law}, {label}, noise {100 * level:g} %, {bench.cases} cases"
        if key not in bench.rows:
            found, more = inverted(bench, level, tables)
            bench.keep(key, {**errors(found, bench.truth[: bench.cases]), **more})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--law", choices=LAWS, default="fields")
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--cases", type=int, default=8, help="of MAP and of misfits")
    parser.add_argument("--minutes", type=float, help="CPU minutes of each training")
    parser.add_argument("--only", nargs="+", default=(), metavar="LABEL", help="rows alone")
    bench = Bench(**vars(parser.parse_args()))
    bench.work.mkdir(parents=True, exist_ok=True)
    prepare(bench)
    for label in filter(bench.wants, MEMBERS):
        learned(bench, label)
    for label in filter(bench.wants, ENGINES):
        classical(bench, label)
    print("all rows are there; longer trainings: --epochs or --minutes, another law: --law")


if __name__ == "__main__":
    main()
