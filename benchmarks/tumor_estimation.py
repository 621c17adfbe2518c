"""How well masks of a tumor tell its parameters, against the best that any estimate can do.

    python benchmarks/tumor_estimation.py                 # 100 patients; stop, repeat as you like
    python benchmarks/tumor_estimation.py --patients 10
    python benchmarks/tumor_estimation.py --faces mean    # with the other kind of faces
    python benchmarks/tumor_estimation.py --tuning        # what the kind was chosen by
    python benchmarks/tumor_estimation.py --table         # print what is there

Masks of 4 mm, drawn independently (softness 0.05). The truth is solved by linear elements with
Heun's method on voxels of a third of that (``tumor_parts.truth``), the inversion by finite
differences with implicit Euler on voxels of a half and ``faces = "sampled"``; the masks are of
averages over the 4 mm. The
estimate is the most probable unknown, sought on coarse voxels first (``tumor_parts.scoring``); that
with known thresholds starts from the one with free ones.

The bound is that of Cramér and Rao, from the Fisher information of the inverting model at the
truth, and the bias that of data without randomness: where the expected slope under the true
probabilities vanishes, by Fisher scoring from the truth. Tuning compares it, thresholds known, for
both kinds of faces and voxels of 4 and 2 mm, on patients that are not among the reported ones.
Results are kept in ``results/tumor_estimation.json``, ``results/tumor_estimation_mean.json`` and
``results/tumor_faces.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from tumor_parts.patients import BOX, Patient, config, patient  # noqa: E402
from tumor_parts.scoring import LINK, Masks, Scored, coarse, masks_of, scored  # noqa: E402
from tumor_parts.truth import Truth  # noqa: E402

from pdeinv.bayes.bernoulli import Bernoulli  # noqa: E402
from pdeinv.bayes.prior import whiten  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.tumor import Tumor, TumorConfig  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SHOWN = "ln D T", "ln rho T", "x (mm)", "y (mm)", "z (mm)"
KNOWN = 5
"""Numbers that stay unknown where thresholds are known."""
TUNED = 1000
"""The number of the first tuning patient."""


def of(number: int, cells: int, known: Array | None = None, faces: str = "sampled") -> TumorConfig:
    """A patient on so many voxels along a side, with thresholds that are known or free."""
    masks = {} if known is None else {"whole": float(known[0]), "core": float(known[1])}
    found = config(number, 1, "finite-differences", masks=masks, faces=faces)
    return found.model_copy(update={"cells": cells})


def off(on: Masks, xi: Array, m: Array) -> list[float]:
    """By how much ln D, ln ρ and the seed are off."""
    found = on.prior.unwhiten(xi)
    return [*np.log(found[:2] / m[:2]).tolist(), *(found[2:5] - m[2:5]).tolist()]


def theory(on: Masks, truth: Array, m: Array) -> dict[str, Any]:
    """Bound and bias."""
    xi = whiten(on.prior, m[None, : on.prior.dim])[0]
    z = on.z(xi)
    j = on.jacobian(xi, z)
    precision = j.T @ (LINK.information(z)[:, None] * j)
    scale = on.scale(xi)[:KNOWN] / np.concatenate([m[:2], np.ones(3)])
    bound = scale * np.sqrt(np.diag(np.linalg.inv(precision)))[:KNOWN]
    there = scored(on, LINK.probability(truth), xi, prior=0.0, begun=(z, j))
    bias = off(on, there.xi, m)
    return {"bound": bound.tolist(), "bias": bias, "bias_converged": there.converged}


def posed(number: int) -> tuple[Patient, Sensors, Array]:
    """A patient, the places of the data, and z there."""
    who = patient(number)
    places = Tumor(config(number, 1, "finite-differences")).sensors("all")
    return who, places, Truth(config(number, 3, "finite-elements")).model(places)(who.m)


def tuning(number: int) -> dict[str, Any]:
    """Bound and bias with known thresholds by the voxels along a side and the kind of faces."""
    who, places, truth = posed(number)
    return {
        f"{BOX / cells:g} mm, {faces}": theory(
            masks_of(of(number, cells, who.m[KNOWN:], faces), places), truth, who.m
        )
        for cells in (48, 96)
        for faces in ("mean", "sampled")
    }


def measured(number: int, faces: str) -> dict[str, Any]:
    """One patient, with thresholds known and free."""
    who, places, truth = posed(number)
    data = Bernoulli(len(truth), "threshold").draw(truth[None], stream(number, "masks"))[0]
    told = {"tried": who.tried, "core": who.core, "whole": who.whole, "m": who.m.tolist()}
    return {**told, **both(who, places, data, truth, faces)}


def both(who: Patient, places: Sensors, data: Array, truth: Array, faces: str) -> dict[str, Any]:
    """The estimates beside bound and bias."""
    began = time.process_time()
    xi, solves = coarse(lambda n: of(who.number, n, faces=faces), places, data, 1.0, who.number)
    free = masks_of(of(who.number, 96, faces=faces), places)
    one = scored(free, data, xi)
    half = time.process_time()
    known = masks_of(of(who.number, 96, who.m[KNOWN:], faces), places)
    two = scored(known, data, one.xi[:KNOWN])
    end = time.process_time()

    def row(on: Masks, found: Scored, spent: tuple[int, float]) -> dict[str, Any]:
        told = {"converged": found.converged, "error": off(on, found.xi, who.m)}
        cost = {"solves_fine": on.solves, "solves_coarse": spent[0], "cpu_seconds": spent[1]}
        return {**told, **cost, **theory(on, truth, who.m)}

    return {
        "free": row(free, one, (solves, round(half - began, 1))),
        "known": row(known, two, (0, round(end - half, 1))),
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rms of errors beside that of bound and bias."""
    lines = [
        "| thresholds | | rms error | bound | bias | error / √(bound² + bias²) |",
        "|---|---|---|---|---|---|",
    ]
    for known in ("known", "free"):
        numbers = [
            np.array([row[known][k] for row in rows.values()]) for k in ("error", "bound", "bias")
        ]
        e, c, b = (np.sqrt(np.mean(part**2, axis=0)) for part in numbers)
        for k, name in enumerate(SHOWN):
            ratio = e[k] / np.hypot(c[k], b[k])
            lines.append(
                f"| {known} | {name} | {e[k]:.4f} | {c[k]:.4f} | {b[k]:.4f} | {ratio:.2f} |"
            )
        fine = np.median([row[known]["solves_fine"] for row in rows.values()])
        seconds = np.median([row[known]["cpu_seconds"] for row in rows.values()])
        ended = sum(row[known]["converged"] for row in rows.values())
        words = f"{fine:.0f} solves on 2 mm, {seconds:.0f} s of CPU, {ended} converged"
        lines.append(f"median of {known}: {words}")
    tried = sum(row["tried"] for row in rows.values())
    return "\n".join([*lines, f"{len(rows)} patients of {tried} draws"])


def tuned(rows: dict[str, dict[str, Any]]) -> str:
    """Rms bias beside rms bound."""
    lines = ["| voxels, faces | " + " | ".join(SHOWN) + " |", "|---|" + "---|" * KNOWN]
    for way in next(iter(rows.values())):
        b, c = (
            np.sqrt(np.mean(np.square([row[way][k] for row in rows.values()]), axis=0))
            for k in ("bias", "bound")
        )
        words = " | ".join(f"{x:.4f}, {y:.4f}" for x, y in zip(b, c, strict=True))
        lines.append(f"| {way} | {words} |")
    return "\n".join([*lines, f"{len(rows)} patients"])


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--patients", type=int)
    options.add_argument("--faces", choices=("sampled", "mean"), default="sampled")
    options.add_argument("--tuning", action="store_true")
    options.add_argument("--table", action="store_true")
    asked = options.parse_args()
    name = {"sampled": "tumor_estimation.json", "mean": "tumor_estimation_mean.json"}[asked.faces]
    path = RESULTS / ("tumor_faces.json" if asked.tuning else name)
    first, usual = (TUNED, 10) if asked.tuning else (0, 100)
    rows = json.loads(path.read_text()) if path.exists() else {}
    for number in range(first, first + (0 if asked.table else asked.patients or usual)):
        if str(number) not in rows:
            rows[str(number)] = tuning(number) if asked.tuning else measured(number, asked.faces)
            print(number, json.dumps(rows[str(number)]), flush=True)
            write_text(path, json.dumps(rows, indent=1) + "\n")
    print(tuned(rows) if asked.tuning else table(rows))


if __name__ == "__main__":
    main()
