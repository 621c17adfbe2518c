"""Is the truth in the band, where masks are drawn by hand on brains of another shape law?

    python benchmarks/tumor_coverage.py               # 60 patients; stop, repeat as you like
    python benchmarks/tumor_coverage.py --tuning      # those that the share may be tuned on
    python benchmarks/tumor_coverage.py --table       # print what is there
    python benchmarks/tumor_coverage.py --check 0 1 2 # the Gaussian beside chains

The truth is solved by linear elements with Heun's method on voxels of 1.33 mm
(``tumor_parts.truth``), its contours are moved by Gaussian fields (sd 1.5 mm, length 8 mm,
``tumor_parts.segmentation``) and cut into voxels of 4 mm. The inversion knows finite differences on
voxels of 4 mm, thresholds are free, bands are those of ``laplace``: the Gaussian at the most
probable unknown with the Fisher information for its curvature (``tumor_parts.scoring``).

Ways: an unknown softness in mm and the share that errors of contours imply
(``problems/tumor/contours``, what ``pdeinv import tumor nifti`` sets); a known one; the softness of
c that fits at the medians of the prior; the first without a share. Bands of numbers are those in
whitened coordinates; those of the density are the least and the largest of 19 draws in each data
voxel where truth or band exceed 0.01, and hold 90 % of another draw. "best mask" is the one with
the largest mean Dice over draws of the posterior (``tumor_parts.best_mask``); that mean,
"expected", is more than any estimate can reach on average, if the posterior is right and the model
the truth. "level alone" is what our model reaches where nothing but the level of each contour is
unknown, and told by the drawn one.

Reported patients have brains of the law ``egg``; tuning patients those of the law ``ellipsoid``.
Results are kept in ``results/tumor_coverage.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cached_property, partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from tumor_parts.best_mask import best_mask  # noqa: E402
from tumor_parts.patients import VOXEL, Law, Patient, config, patient  # noqa: E402
from tumor_parts.scoring import (  # noqa: E402
    LINK,
    Masks,
    Scored,
    coarse,
    masks_of,
    objective,
    scored,
)
from tumor_parts.segmentation import Hand, drawable, level_errors, segmented  # noqa: E402
from tumor_parts.truth import Truth  # noqa: E402

from pdeinv.bayes.prior import whiten  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.model.forward import ForwardModel  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.tumor import Tumor, TumorConfig  # noqa: E402
from pdeinv.problems.tumor.contours import (  # noqa: E402
    FITTING,
    contour_slope,
    effective_share,
    fitting_softness,
)
from pdeinv.problems.tumor.importer import STRETCH  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results"
NAMES = "D T", "ρ T", "x", "y", "z"
SIGMAS = 1.6449
"""Half a band of 90 %."""
DRAWS, FAINT, LOW, NEAR = 19, 0.01, 0.05, 0.2
MASKS = 60
"""Draws that the best mask is chosen by."""
USUAL = "mm, unknown"
"""What ``pdeinv import tumor nifti`` sets."""
STEPS, BETA = 3000, 0.5
"""Of chains that check the Gaussian."""
TUNED = 1000
"""The number of the first tuning patient."""


Masking = dict[str, Any]
"""The table ``[problem.masks]``."""


def ways() -> dict[str, tuple[Masking, float]]:
    """Softness and share."""
    hand = Hand()
    slope = contour_slope(config(0, 1, "finite-differences"))
    share = effective_share(VOXEL, hand.sd, hand.length, FITTING / hand.sd)
    mm = fitting_softness(hand.sd)
    unknown: Masking = {"softness_mm": {"median": mm, "std": STRETCH}}
    return {
        USUAL: (unknown, share),
        "mm": ({"softness_mm": mm}, share),
        "c": ({"softness": fitting_softness(hand.sd, slope)}, share),
        "no share": (unknown, 1.0),
    }


def dice(a: Array, b: Array) -> float:
    """Of two masks."""
    return float(2 * np.sum(a & b) / max(int(np.sum(a) + np.sum(b)), 1))


class Case:
    """One patient with drawn masks.

    Attributes:
        who: the patient.
        places: of the data.
        c: true averages in data voxels.
        data: what was drawn.
        larger: by how many mm³ each region may be drawn too large all over, and how probably.
    """

    def __init__(self, number: int, law: Law) -> None:
        self.who: Patient = patient(number, law)
        self.places: Sensors = Tumor(self.config(48)).sensors("all")
        truth = Truth(config(number, 3, "finite-elements", law))
        state = truth.state(self.who.m)
        self.one = np.asarray(self.places["region"]) == 1
        points = np.stack([np.asarray(self.places[a])[self.one] for a in "xyz"], axis=1)
        self.c = truth.averages(state, points)
        true = drawable(truth.on.lattice, state, truth.on.config.lengths, VOXEL)
        self.larger = {name: level_errors(true, level) for name, level in self.thresholds.items()}
        rng = stream(number, f"segmentation, {law}")
        self.data = segmented(true, self.thresholds, self.places, VOXEL, rng)

    @property
    def thresholds(self) -> dict[str, float]:
        """The true ones."""
        return {"whole": float(self.who.m[5]), "core": float(self.who.m[6])}

    def config(self, cells: int, masks: Masking | None = None) -> TumorConfig:
        """For the inversion."""
        masks = masks or {}
        found = config(self.who.number, 1, "finite-differences", self.who.law, masks=masks)
        return found.model_copy(update={"cells": cells})

    def level_alone(self) -> dict[str, float]:
        """Mean Dice of our model at the true parameters, but for the level of each contour."""
        c = self.density(self.who.m)
        falling, told = np.sort(c)[::-1], {}
        for name, level in self.thresholds.items():
            errors, weights = self.larger[name]
            sizes = np.sum(c > level) + np.round(errors / VOXEL**3).astype(int)
            levels = falling[np.clip(sizes, 0, len(falling) - 1)]
            told[name] = float(weights @ [dice(c > t, self.c > level) for t in levels])
        return told

    @cached_property
    def _model(self) -> ForwardModel:
        """c in data voxels."""
        problem = Tumor(self.config(48).model_copy(update={"masks": None}))
        places = {name: np.asarray(self.places[name])[self.one] for name in (*"xyz", "t")}
        return problem.forward_model(places)

    def density(self, m: Array) -> Array:
        """c there."""
        return self._model(m[:5])

    def agreement(self, m: Array) -> dict[str, float]:
        """Dice of c and its contours against the truth."""
        c = self.density(m)
        level = [("whole", m[5], self.who.m[5]), ("core", m[6], self.who.m[6])]
        return {
            name: dice(c > own, self.c > true) for name, own, true in [*level, ("low", LOW, LOW)]
        }


def band(case: Case, on: Masks, found: Scored) -> float:
    """The share of voxels whose true density lies in the band."""
    half = np.linalg.inv(np.linalg.cholesky(found.precision)).T
    drawn = []
    for normal in stream(case.who.number, "band").standard_normal((DRAWS, len(found.xi))):
        drawn.append(case.density(on.prior.unwhiten(found.xi + half @ normal)))
    low, high = np.sort(drawn, axis=0)[[0, -1]]
    seen = (case.c > FAINT) | (high > FAINT)
    return float(np.mean(((low <= case.c) & (case.c <= high))[seen]))


def best(case: Case, on: Masks, found: Scored) -> dict[str, Any]:
    """Dice of the posterior's best masks: with the truth, and the mean with draws.

    ``held`` is the mean with draws of the other half than the mask is chosen by, of both halves.
    """
    half = np.linalg.inv(np.linalg.cholesky(found.precision)).T
    normals = stream(case.who.number, "masks").standard_normal((MASKS, len(found.xi)))
    drawn = [on.prior.unwhiten(found.xi + half @ normal) for normal in normals]
    c = np.array([case.density(m) for m in drawn])
    told = {}
    for name, k in (("whole", 5), ("core", 6), ("low", None)):
        levels = np.array([LOW if k is None else m[k] for m in drawn])
        masks = c > levels[:, None]
        chosen, true = best_mask(masks), case.c > (LOW if k is None else case.who.m[k])
        halves = [best_mask(masks[i::2]).inside for i in (0, 1)]
        held = np.mean([dice(halves[i], m) for i in (0, 1) for m in masks[1 - i :: 2]])
        reached = dice(chosen.inside, true)
        told[name] = {"dice": reached, "expected": chosen.expected, "held": float(held)}
    return {**told, "level": case.level_alone()}


def again(number: int, law: Law, found: dict[str, Any]) -> dict[str, Any]:
    """The best masks of a row that was measured without them."""
    case, (masks, share) = Case(number, law), ways()[USUAL]
    on, error = masks_of(case.config(48, masks), case.places), np.array(found["error"])
    m = np.concatenate([case.who.m[:2] * np.exp(error[:2]), case.who.m[2:] + error[2:]])
    xi = whiten(on.prior, np.append(m, found["softness"])[None])[0]
    z = on.z(xi)
    j = on.jacobian(xi, z)
    h = share * j.T @ (LINK.information(z)[:, None] * j) + np.eye(len(xi))
    return best(case, on, Scored(xi, z, j, h, True))


def row(case: Case, on: Masks, found: Scored) -> dict[str, Any]:
    """What one way finds."""
    m = on.prior.unwhiten(found.xi)
    true = whiten(on.prior, np.append(case.who.m, m[7:])[None])[0]
    sd = np.sqrt(np.diag(np.linalg.inv(found.precision)))
    scale = on.scale(found.xi)[:7] / np.concatenate([m[:2], np.ones(5)])
    error = [*np.log(m[:2] / case.who.m[:2]).tolist(), *(m[2:7] - case.who.m[2:]).tolist()]
    return {
        "converged": found.converged,
        "error": error,
        "sd": (scale * sd[:7]).tolist(),
        "sigmas": ((found.xi - true) / sd)[:7].tolist(),
        "softness": m[7:].tolist(),
        "density": band(case, on, found),
        "dice": case.agreement(m),
    }


def measured(number: int, law: Law) -> dict[str, Any]:
    """All ways for one patient."""
    began, case = time.process_time(), Case(number, law)
    told: dict[str, Any] = {"tried": case.who.tried, "m": case.who.m.tolist()}
    masks = [case.data[case.one] > 0, case.data[~case.one] > 0]
    drawn = [dice(s, case.c > t) for s, t in zip(masks, case.thresholds.values(), strict=True)]
    told["drawn"] = dict(zip(case.thresholds, drawn, strict=True))
    masks, share = ways()["c"]
    xi, _ = coarse(partial(case.config, masks=masks), case.places, case.data, share, number)
    told["ceiling"] = case.agreement(case.who.m)
    for name, (masks, share) in ways().items():
        on = masks_of(case.config(48, masks), case.places)
        # an unknown softness begins with its median
        begin = np.append(xi, np.zeros(on.prior.dim - len(xi)))
        found = scored(on, case.data, begin, share)
        told[name] = row(case, on, found)
        if name == USUAL:
            told["best mask"] = best(case, on, found)
    return {**told, "cpu_seconds": round(time.process_time() - began, 1)}


def chain(on: Masks, found: Scored, y: Array, share: float, number: int) -> Array:
    """Draws by pCN about the Gaussian of ``found``, (STEPS, n)."""
    half = np.linalg.inv(np.linalg.cholesky(found.precision)).T
    rng = stream(number, "chain")

    def odds(unit: Array) -> float:
        """What is left of the posterior once the Gaussian is divided out."""
        xi = found.xi + half @ unit
        return float(unit @ unit / 2 - objective(on.z(xi), y, xi, share, 1.0))

    unit, kept = np.zeros(len(found.xi)), []
    now = odds(unit)
    for _ in range(STEPS):
        new = np.sqrt(1 - BETA**2) * unit + BETA * rng.standard_normal(len(unit))
        if np.log(rng.random()) < (then := odds(new)) - now:
            unit, now = new, then
        kept.append(found.xi + half @ unit)
    return np.array(kept)


def checked(number: int) -> dict[str, Any]:
    """Mean and sd of a chain beside those of the Gaussian, on voxels of 8 mm, in sds of that."""
    case, (masks, share) = Case(number, "egg"), ways()[USUAL]
    on = masks_of(case.config(24, masks), case.places)
    xi, _ = coarse(partial(case.config, masks=masks), case.places, case.data, share, number)
    found = scored(on, case.data, xi, share)
    sd = np.sqrt(np.diag(np.linalg.inv(found.precision)))
    draws = chain(on, found, case.data, share, number)[STEPS // 10 :]
    moved = np.mean(np.any(np.diff(draws, axis=0) != 0, axis=1))
    shift, ratio = (draws.mean(axis=0) - found.xi) / sd, draws.std(axis=0) / sd
    return {"shift": shift.round(2).tolist(), "sd": ratio.round(2).tolist(), "moved": float(moved)}


def covered(rows: list[dict[str, Any]], way: str) -> list[float]:
    """The share of patients whose bands hold each number, and that of voxels."""
    inside = np.abs([r[way]["sigmas"] for r in rows])[:, :5] < SIGMAS
    seed = float(np.mean(inside[:, 2:]))
    return [
        *np.mean(inside[:, :2], axis=0),
        seed,
        float(np.mean([r[way]["density"] for r in rows])),
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Coverage, errors and Dice."""
    lines = [
        "| softness, share | D T | ρ T | seed | density | rms error and sd of ln D T | of ln ρ T "
        "| of the seed, mm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, (masks, share) in ways().items():
        cover = " | ".join(f"{v:.2f}" for v in covered(rows, way))
        e, s = (np.array([r[way][k] for r in rows]) for k in ("error", "sd"))
        rms = [np.sqrt(np.mean(np.square(x), axis=0)) for x in (e, s)]
        pairs = [*(f"{a:.2f}, {b:.2f}" for a, b in zip(*(r[:2] for r in rms), strict=True))]
        place = [float(np.sqrt(np.sum(r[2:5] ** 2))) for r in rms]
        pairs.append(f"{place[0]:.1f}, {place[1]:.1f}")
        ((_, soft),) = masks.items()
        soft = f"{way}: {soft['median'] if isinstance(soft, dict) else soft:.3g}"
        lines.append(f"| {soft}, {share:.4f} | {cover} | " + " | ".join(pairs) + " |")
    lines += ["", "| Dice against the truth | whole | core | c > 0.05 |", "|---|---|---|---|"]
    for name in ("drawn", "ceiling", *ways()):
        found = [r[name].get("dice", r[name]) for r in rows]
        mean = [float(np.mean([f.get(k, np.nan) for f in found])) for k in ("whole", "core", "low")]
        words = ["–" if np.isnan(v) else f"{v:.3f}" for v in mean]
        lines.append(f"| {name} | " + " | ".join(words) + " |")
    lines += _reachable([r["best mask"] for r in rows if "best mask" in r])
    tried = sum(r["tried"] for r in rows)
    ended = sum(r[USUAL]["converged"] for r in rows)
    seconds = float(np.median([r["cpu_seconds"] for r in rows]))
    lines += ["", *_remarks(rows)]
    lines.append(
        f"{len(rows)} patients of {tried} draws, {ended} converged, {seconds:.0f} s of CPU"
    )
    return "\n".join(lines)


def _reachable(found: list[dict[str, Any]]) -> list[str]:
    """What the posterior itself expects, and what its best masks reach."""
    said = {"dice": "best mask", "expected": "best mask, expected", "held": "expected, other draws"}
    lines = []
    for key, words in said.items() if found else ():
        mean = [float(np.mean([f[k][key] for f in found])) for k in ("whole", "core", "low")]
        lines.append(
            f"| {words} ({len(found)} patients) | " + " | ".join(f"{v:.3f}" for v in mean) + " |"
        )
    alone = [f["level"] for f in found if "level" in f]
    if alone:
        mean = [float(np.mean([f[k] for f in alone])) for k in ("whole", "core")]
        words = f"level alone ({len(alone)} patients)"
        lines.append(f"| {words} | " + " | ".join(f"{v:.3f}" for v in mean) + " | – |")
    return lines


def _remarks(rows: list[dict[str, Any]]) -> list[str]:
    """What softness was found, and what Dice depends on."""
    own = [r[USUAL] for r in rows]
    low, middle, high = np.quantile([r["softness"][0] for r in own], [0.05, 0.5, 0.95])
    off = np.abs([r["error"][0] for r in own])
    lost = np.array([r[USUAL]["dice"]["low"] - r["ceiling"]["low"] for r in rows])
    near = off < NEAR
    found, others = (float(np.mean(lost[part])) for part in (near, ~near))
    return [
        f"unknown softness: {middle:.2f} mm, 5 to 95 % of patients {low:.2f} to {high:.2f} mm",
        f"c > {LOW:g}, Dice minus ceiling where ln D is off by less than {NEAR:g} "
        f"({np.sum(near)} patients) {found:.3f}, elsewhere {others:.3f}",
    ]


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--patients", type=int, default=60)
    options.add_argument("--tuning", action="store_true")
    options.add_argument("--table", action="store_true")
    options.add_argument("--check", type=int, nargs="+", metavar="PATIENT", help="against chains")
    asked = options.parse_args()
    for number in asked.check or ():
        print(number, checked(number), flush=True)
    law: Law = "ellipsoid" if asked.tuning else "egg"
    path = RESULTS / f"tumor_coverage{'_tuning' if asked.tuning else ''}.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    first = TUNED if asked.tuning else 0
    for number in range(first, first + (0 if asked.table or asked.check else asked.patients)):
        own = rows.get(str(number), {})
        if "level" in own.get("best mask", {}):
            continue
        own = own | {"best mask": again(number, law, own[USUAL])} if own else measured(number, law)
        rows[str(number)] = own
        print(number, own["cpu_seconds"], json.dumps(own["best mask"]), flush=True)
        write_text(path, json.dumps(rows, indent=1) + "\n")
    print(table(list(rows.values())))


if __name__ == "__main__":
    main()
