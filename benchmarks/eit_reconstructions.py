"""Classical and Bayesian reconstructions of one chest and of tanks, side by side.

    python benchmarks/eit_reconstructions.py            # about a quarter of an hour on one core
    python benchmarks/eit_reconstructions.py --quick    # a few minutes: short chains, one tank

Chest: heart and lungs in the unit disc, Neumann-to-Dirichlet map of 8 frequencies (256 data) as a
difference to that of the constant 1, from a mesh twice as fine, noise of 0.1 and 1 % of the largest
entry of the map itself. Errors are relative L2 on 128 x 128 nodes inside the disc; the floor is the
error of the truth as each unknown can hold it, "flat" that of the background. Chains are short; the
table says whether they converged.

Tanks: own phantoms on the instrument preset ktc2023 at levels 1, 4 and 7, noise 0.1 % of the
largest voltage, the water's conductivity known as from an empty-tank frame; score of the challenge
after Otsu's segmentation.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.errors import PdeinvError
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import attributes
from pdeinv.rng import stream

SEED = 5
GRID = (128, 128)
BODY = {
    "model": "continuum",
    "map": "neumann-to-dirichlet",
    "modes": 8,
    "cells": 24,
    "difference": True,
    "reference": 1.0,
}
FIELD = {"kind": "log-gaussian", "grid": [33, 33], "std": 0.4, "length": 0.5}
PHASES = {
    "kind": "level-set",
    "grid": [33, 33],
    "modes": 10,
    "thresholds": [-0.8, 0.8],
    "values": [0.7, 1.0, 2.0],
}
MODES = {**FIELD, "modes": 32}
"""The field in few modes, for chains."""
NEWTON = {"positivity": "log", "reference": 1.0}


@dataclass(frozen=True)
class Method:
    """A row of the table: an engine with its options and the unknown that it looks for."""

    label: str
    engine: str
    unknown: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)


METHODS = (
    *(
        Method(f"Gauss–Newton, {r}", "gauss-newton", FIELD, {"regularization": r, **NEWTON})
        for r in ("noser", "smoothness", "tv")
    ),
    Method("D-bar", "d-bar", FIELD),
    Method("MAP, blended level set", "map", {**PHASES, "blend": 0.15}, {"starts": 1}),
    Method("EKI, level set", "eki", PHASES, {"ensemble_size": 400}, {"ensemble_size": 200}),
    Method(
        "pCN, level set",
        "pcn",
        PHASES,
        {"chains": 2, "draws": 6000, "warmup": 3000, "thin": 5},
        {"draws": 2000, "warmup": 1000},
    ),
    Method(
        "pCN about Laplace, field",
        "pcn",
        MODES,
        {"proposal": "laplace", "chains": 2, "draws": 4000, "warmup": 500, "thin": 2},
        {"draws": 1500},
    ),
    Method(
        "two-level, field",
        "two-level",
        MODES,
        {"chains": 2, "draws": 500, "warmup": 50},
        {"draws": 200, "warmup": 20},
        {"surrogate": {"name": "multifidelity", "coarse_level": -1}},
    ),
)


def chest(level: float) -> tuple[Observations, Any, np.ndarray]:
    """Data of the true chest from a finer mesh, and its conductivity as a function of points."""
    truth = make_problem("eit", {**BODY, "unknown": {"kind": "heart-and-lungs"}})
    sensors, prior = truth.sensors("all"), truth.prior()
    m = prior.unwhiten(stream(SEED, "truth").standard_normal(prior.dim))
    clean = truth.forward_model(sensors, 1)(m)
    noise = Noise(np.full(len(clean), level))  # the map of the constant 1 has norm 1
    data = clean + noise.sample(stream(SEED, "noise"))
    return Observations(truth.observed, data, sensors, noise), truth.unknown.conductivity.at, m


def image(problem: Any, m: np.ndarray) -> np.ndarray:
    """The conductivity at the grid's nodes."""
    return np.asarray(problem.grid_operator(GRID) @ m)


def relative(guess: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> float:
    return float(np.linalg.norm((guess - truth)[inside]) / np.linalg.norm(truth[inside]))


def nodes(problem: Any) -> np.ndarray:
    """Where the entries of m lie."""
    v = problem.prior().space.variables[0]
    x, y = v.coords["x"][1], v.coords["y"][1]
    if v.dims == ("y", "x"):
        x, y = (a.ravel() for a in np.meshgrid(x, y))
    return np.stack([x, y], axis=1)


def nearest_phase(values: np.ndarray, phases: list[float]) -> np.ndarray:
    """Each value as the phase that is nearest in its logarithm."""
    distance = np.abs(np.log(values[:, None] / np.asarray(phases)))
    return np.asarray(phases)[np.argmin(distance, axis=1)]


def reconstruct(
    method: Method, body: dict[str, Any], path: Path, quick: bool
) -> tuple[dict[str, Any], np.ndarray, Any]:
    """One engine on one file: numbers, the unknown's mean, the problem."""
    tables = {
        "seed": SEED,
        "problem": {"name": "eit", **body, "unknown": method.unknown},
        "engine": {"name": method.engine, **method.options, **(method.quick if quick else {})},
        **method.tables,
    }
    began = time.process_time()
    inversion = Inversion.resolve(tables, path)
    tree = invert(inversion, path.with_name("result.nc"), overwrite=True)
    seconds = time.process_time() - began
    m = inversion.problem.prior().space.pack(
        tree["estimates"].to_dataset().rename({"conductivity_mean": "conductivity"})
    )
    o, counts = (
        inversion.observations,
        {
            k: int(tree.attrs[f"pdeinv_{k}"])
            for k in ("n_forward", "n_tangent", "n_adjoint", "n_surrogate")
        },
    )
    model = inversion.problem.forward_model(o.coords)
    row = {
        "method": method.label,
        "misfit_per_datum": float(tree["sample_stats"]["misfit"].mean()) / o.size,
        "misfit_of_mean_per_datum": float(o.noise.misfit(model(m), o.values)) / o.size,
        "cpu_seconds": round(seconds, 1),
        "converged": bool(tree.attrs["pdeinv_converged"]),
        "message": tree.attrs["pdeinv_message"],
        **counts,
    }
    return row, m, inversion.problem


def chest_table(levels: tuple[float, ...], quick: bool, figure: Path | None) -> list[dict]:
    """Every method on the chest at every noise level."""
    rows, pictures = [], []
    for level in levels:
        data, at, true_m = chest(level)
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / "obs.nc"
            netcdf.write(path, to_dataset(data, attributes({}, SEED)))
            for method in METHODS:
                try:
                    row, m, problem = reconstruct(method, BODY, path, quick)
                except PdeinvError as error:
                    rows.append({"noise": level, "method": method.label, "refused": str(error)})
                    print(json.dumps(rows[-1]), flush=True)
                    continue
                places = problem.grid(GRID)
                points = np.stack([places["x"], places["y"]], axis=1)
                inside, truth = problem.mask(points), at(points)(true_m)
                held = at(nodes(problem))(true_m)
                if method.unknown["kind"] == "level-set":
                    held = nearest_phase(held, method.unknown["values"])
                row = {
                    "noise": level,
                    **row,
                    "error": relative(image(problem, m), truth, inside),
                    "floor": relative(image(problem, held), truth, inside),
                    "flat": relative(np.ones(len(truth)), truth, inside),
                }
                rows.append(row)
                mark = "" if row["converged"] else ", not converged"
                pictures.append((level, method.label + mark, image(problem, m), truth, inside))
                print(json.dumps(row), flush=True)
    if figure is not None:
        draw(pictures, figure)
    return rows


def draw(pictures: list[tuple], path: Path) -> None:
    """The truth and every reconstruction, one row of pictures per noise level."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    levels = sorted({p[0] for p in pictures})
    wide = 1 + max(sum(p[0] == level for p in pictures) for level in levels)
    figure, axes = plt.subplots(len(levels), wide, figsize=(1.7 * wide, 2.4 * len(levels)),
                                squeeze=False, layout="constrained")  # fmt: skip
    for row, level in zip(axes, levels, strict=True):
        own = [p for p in pictures if p[0] == level]
        shown = [("truth", own[0][3]), *[(p[1].replace(", ", "\n"), p[2]) for p in own]]
        for axis, (label, values) in zip(row, shown, strict=True):
            picture = np.where(own[0][4], values, np.nan).reshape(GRID)
            mesh = axis.imshow(picture, origin="lower", vmin=0.5, vmax=2.2, cmap="viridis")
            axis.set_title(label, fontsize=7)
            axis.set_axis_off()
        row[0].set_axis_on()
        row[0].set(xticks=[], yticks=[], ylabel=f"noise {100 * level:g} %")
        row[0].spines[:].set_visible(False)
    figure.colorbar(mesh, ax=axes, label="conductivity (S m$^{-1}$)", shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


TANK_FIELD = {"kind": "log-gaussian", "grid": [41, 41], "std": 0.5}
TANK_PHASES = {**PHASES, "thresholds": [-1.2, 1.2], "values": [0.05, 1.0, 10.0]}


def tank_methods(water: float) -> tuple[Method, ...]:
    """The methods that an incomplete boundary leaves."""
    phases = {**TANK_PHASES, "values": [water * v for v in TANK_PHASES["values"]]}
    newton = {"positivity": "log", "reference": water, "steps": 15}
    return (
        *(
            Method(
                f"Gauss–Newton, {r}", "gauss-newton", TANK_FIELD, {**newton, "regularization": r}
            )
            for r in ("noser", "smoothness", "tv")
        ),
        Method("MAP, blended level set", "map", {**phases, "blend": 0.3}, {"max_iterations": 60}),
        Method("EKI, level set", "eki", phases, {"ensemble_size": 200}),
    )


def tank_table(levels: tuple[int, ...], count: int) -> list[dict]:
    """Score of every method, tank by tank."""
    from pdeinv.problems.eit import ktc, phantoms

    rows = []
    for level in levels:
        for k in range(count):
            body = {"preset": "ktc2023", "ktc_level": level, "cells": 28}
            truth = make_problem("eit", {**body, "cells": 80, "unknown": {"kind": "elements"}})
            phantom = phantoms.tank(stream(SEED, "tank", k), ktc.KTC_RADIUS)
            sensors = truth.sensors("all")
            clean = truth.forward_model(sensors)(phantom.at(nodes(truth)))
            noise = Noise(np.full(len(clean), 1e-3 * np.abs(clean).max()))
            data = clean + noise.sample(stream(SEED, "tank noise", k))
            observations = Observations(truth.observed, data, sensors, noise)
            pixels = ktc.pixels()
            labels = phantom.labels(pixels)
            with TemporaryDirectory() as scratch:
                path = Path(scratch) / "obs.nc"
                netcdf.write(path, to_dataset(observations, attributes({}, SEED)))
                for method in tank_methods(phantom.background):
                    row, m, problem = reconstruct(method, body, path, False)
                    flat = pixels.reshape(-1, 2)
                    seen = problem.unknown.conductivity.at(flat)(m)
                    seen = np.where(problem.mask(flat), seen, np.nan).reshape(labels.shape)
                    row = {"level": level, "tank": k, **row,
                           "score": ktc.score(labels, ktc.segment(np.log(seen)))}  # fmt: skip
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short chains, one tank per level")
    parser.add_argument("--noise", type=float, nargs="+", help="noise levels of the chest")
    parser.add_argument("--only", choices=("chest", "tanks"), help="one half of it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--figure", type=Path, default=Path("docs/images/eit_reconstructions.png"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only != "tanks":
        levels = tuple(options.noise or ((0.01,) if options.quick else (0.001, 0.01)))
        rows = chest_table(levels, options.quick, None if options.quick else options.figure)
        (options.out / "eit_chest.json").write_text(json.dumps(rows, indent=1))
    if options.only != "chest":
        rows = tank_table((1, 4, 7), 1 if options.quick else 3)
        (options.out / "eit_tanks.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
