"""How much of a recurrence a plan by the inverted model covers, beside a margin of 15 mm.

    python benchmarks/tumor_recurrence.py            # 60 patients; stop, repeat as you like
    python benchmarks/tumor_recurrence.py --table    # print what is there
    python benchmarks/tumor_recurrence.py --picture 3 --image recurrence.png    # a figure of one

The patient's tumor is another one than the inversion knows: two species and necrosis, a tensor and
another ratio of white to grey matter (``tumor_parts.two_species``), in brains of the law ``egg``.
It grows until the whole tumor has the volume of the patient; masks are drawn by hand
(``tumor_parts.segmentation``) in voxels of 4 mm. The drawn core is cut out, a tenth of all other
cells survives, and the tumor recurs until what is above the threshold of the core has the volume
that was cut out, and 15 cm³, or for 300 days. What is above the thresholds of core and whole tumor
then is to be covered.

Plans of the same volume: all tissue within 15 mm of the drawn core; where the density is highest
that ``map`` finds in the masks, thresholds free; the same of the mean of 20 draws of ``laplace``;
the drawn whole tumor with the margin that makes the volume equal; where the true density before
surgery was highest, which nobody knows. Results are kept in ``results/tumor_recurrence.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy import ndimage, stats  # noqa: E402
from tumor_parts.patients import VOXEL, Patient, config, patient  # noqa: E402
from tumor_parts.scoring import Masks, Scored, coarse, masks_of, scored  # noqa: E402
from tumor_parts.segmentation import drawable, segmented  # noqa: E402
from tumor_parts.two_species import Cells, Grower, resected  # noqa: E402

from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.tumor import Tumor, TumorConfig  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "tumor_recurrence.json"
FINE = VOXEL / 2
MARGIN, DRAWS, SURVIVAL = 15.0, 20, 0.1
SOFTNESS, SHARE = 0.0967, 0.0106
"""Of masks, as a difference of c."""
RECURRED, DAYS = 15.0, 300.0
"""cm³ of core that make a recurrence, and the longest time until then."""
PLANS = "margin", "map", "mean", "whole", "true"

Mask = NDArray[np.bool_]


def of(number: int, cells: int) -> TumorConfig:
    """For the inversion."""
    found = config(number, 1, "finite-differences", "egg", masks={"softness": SOFTNESS})
    return found.model_copy(update={"cells": cells})


def volume(seen: Array) -> float:
    """Of voxels of 2 mm, cm³."""
    return float(np.sum(seen)) * FINE**3 / 1000


class Story:
    """A tumor before surgery and as it recurs, on the voxels of 2 mm with tissue.

    Attributes:
        who: the patient.
        days: of growth before surgery, and until it recurred.
        before: T before surgery.
        places: of the data.
        data: the masks.
        core, whole: those on voxels of 2 mm.
        recurred: T after surgery, zero in the cavity.
    """

    def __init__(self, number: int) -> None:
        self.who: Patient = patient(number, "egg")
        rng = stream(number, "two species")
        ratio = float(np.exp(rng.uniform(np.log(5.0), np.log(30.0))))
        tissue = of(number, 96).model_copy(update={"ratio": ratio})
        grower = Grower.of(tissue, self.who.m, rng)
        whole, core = self.who.m[5:7]
        start = grower.seeded(tissue, self.who.m[2:5])
        cells, first = grower.grown(start, lambda t: volume(t > whole) >= self.who.whole, 400.0)
        self.centres, self.before = grower.cut.centres, cells.total
        self._draw({"whole": float(whole), "core": float(core)})
        second = self._recur(grower, cells, float(core))
        self.days = first, second

    def _draw(self, thresholds: dict[str, float]) -> None:
        self.places: Sensors = Tumor(of(self.who.number, 48)).sensors("all")
        true = drawable(self.centres, self.before, (192.0,) * 3, VOXEL)
        rng = stream(self.who.number, "segmentation, two species")
        self.data = segmented(true, thresholds, self.places, VOXEL, rng)
        self.whole, self.core = self._fine(1), self._fine(2)

    def _fine(self, region: int) -> Mask:
        """A mask of data voxels on those of 2 mm."""
        own = np.asarray(self.places["region"]) == region
        cubes = np.zeros((48,) * 3, dtype=np.bool_)
        index = [np.floor(np.asarray(self.places[a])[own] / VOXEL).astype(int) for a in "zyx"]
        cubes[tuple(index)] = self.data[own] > 0
        for axis in range(3):
            cubes = np.repeat(cubes, 2, axis)
        return cubes[self.centres.active]

    def _recur(self, grower: Grower, cells: Cells, threshold: float) -> float:
        after, left = resected(grower, cells, self.core, SURVIVAL)
        wanted = max(RECURRED, volume(self.core))
        grown, days = after.grown(left, lambda t: volume(t > threshold) >= wanted, DAYS)
        self.recurred = np.zeros(len(self.core))
        self.recurred[~self.core] = grown.total
        return days

    def away(self, mask: Mask) -> Array:
        """The distance of each voxel from a mask, mm."""
        cubes = np.ones(self.centres.active.shape, dtype=np.bool_)
        cubes[self.centres.active] = ~mask
        return np.asarray(FINE * ndimage.distance_transform_edt(cubes))[self.centres.active]


def densities(story: Story, on: Masks, found: Scored) -> tuple[Array, Array]:
    """Of the most probable unknown, and the mean of draws, on voxels of 2 mm."""
    number = story.who.number
    problem = Tumor(of(number, 48).model_copy(update={"masks": None}))
    on_coarse = problem.discretisation(0)
    xyz = on_coarse.lattice.points.T
    everywhere = dict(zip("xyz", xyz, strict=True)) | {"t": np.full(xyz.shape[1], 100.0)}
    model = problem.forward_model(everywhere)
    half = np.linalg.inv(np.linalg.cholesky(found.precision)).T
    normals = stream(number, "mean").standard_normal((DRAWS, len(found.xi)))
    drawn = [model(on.prior.unwhiten(found.xi + half @ n)[:5]) for n in normals]
    finer = on_coarse.lattice.values_at(story.centres.points)
    best = model(on.prior.unwhiten(found.xi)[:5])
    return finer @ best, finer @ np.mean(drawn, axis=0)


def highest(score: Array, count: int) -> Mask:
    """So many voxels."""
    found = np.zeros(len(score), dtype=np.bool_)
    found[np.argsort(-score, kind="stable")[:count]] = True
    return found


@dataclass(frozen=True)
class Planned:
    """Plans of one patient and what is to be covered, on the voxels of 2 mm with tissue.

    Attributes:
        story: of the tumor.
        plans: by name, of the same volume.
        recurred: what is above the thresholds after surgery, by name, without the cavity.
        converged: whether the inversion did.
    """

    story: Story
    plans: dict[str, Mask]
    recurred: dict[str, Mask]
    converged: bool


def planned(number: int) -> Planned:
    """The story of one patient, the inversion of the masks, and the plans."""
    story, of_patient = Story(number), partial(of, number)
    xi, _ = coarse(of_patient, story.places, story.data, SHARE, number)
    on = masks_of(of_patient(48), story.places)
    found = scored(on, story.data, xi, SHARE)
    best, mean = densities(story, on, found)
    margin = story.away(story.core) <= MARGIN
    count = int(margin.sum())
    # inside the core both are alike: it comes first in every plan
    first = np.where(story.core, 2.0, 0.0)
    plans = {
        "margin": margin,
        "map": highest(first + best, count),
        "mean": highest(first + mean, count),
        "whole": highest(-story.away(story.whole | story.core), count),
        "true": highest(first + story.before, count),
    }
    levels = {"core": story.who.m[6], "any": story.who.m[5]}
    masks = {name: (story.recurred > level) & ~story.core for name, level in levels.items()}
    return Planned(story, plans, masks, found.converged)


def measured(number: int) -> dict[str, Any]:
    """One patient: how much each plan covers."""
    began, found = time.process_time(), planned(number)
    return {
        "days": found.story.days,
        "plan": volume(found.plans["margin"]),
        "converged": found.converged,
        "volumes": {name: volume(mask) for name, mask in found.recurred.items()},
        "covered": {
            name: {k: float(np.mean(plan[mask])) for k, plan in found.plans.items()}
            for name, mask in found.recurred.items()
            if mask.any()
        },
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def picture(number: int, path: Path) -> None:
    """Three planes through the recurrence with the cavity, two plans and what recurred."""
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    found = planned(number)
    story, recurred = found.story, found.recurred["any"]
    lattice = story.centres
    inside = [index[recurred] for index in lattice.index]
    middle = [int(np.median(index)) for index in inside]
    white, grey = Tumor(of(number, 96)).tissue.over(lattice.axes)
    shade = np.ma.masked_where(white + grey < 0.5, white + 0.6 * grey)
    brain = shade.reshape(lattice.active.shape)
    outlines = {
        "cavity: the drawn core, cut out": ("black", story.core),
        "plan: margin of 15 mm": ("tab:blue", found.plans["margin"]),
        "plan: inverted density, same volume": ("tab:orange", found.plans["map"]),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 5.2), layout="compressed")
    for panel, (axis, title) in zip(axes, enumerate(("x", "y", "z")), strict=True):
        others = [k for k in range(3) if k != axis]
        ends = [(0.0, FINE * len(lattice.axes[k])) for k in others]
        extent = (*ends[0], *ends[1])
        cut = partial(np.ma.take, indices=middle[axis], axis=2 - axis)

        def shown(mask: Mask, cut: Any = cut) -> Array:
            whole = np.zeros(lattice.active.shape)
            whole[lattice.active] = mask
            return np.asarray(cut(whole))

        panel.imshow(cut(brain), cmap="gray", vmin=0.0, vmax=1.2, origin="lower", extent=extent)
        red = np.ma.masked_less(shown(recurred), 0.5)
        panel.imshow(red, cmap="Reds", vmin=0, vmax=1.6, origin="lower", extent=extent, alpha=0.9)
        for colour, mask in outlines.values():
            part = shown(mask)
            if part.any():
                panel.contour(part, [0.5], colors=colour, linewidths=1.6, extent=extent)
        away = lattice.axes[axis][middle[axis]]
        panel.set(title=f"{title} = {away:.0f} mm", xlabel=f"{'xyz'[others[0]]}, mm")
        panel.set_ylabel(f"{'xyz'[others[1]]}, mm")
    lines = [Line2D([], [], color=colour, label=name) for name, (colour, _) in outlines.items()]
    lines.append(Line2D([], [], color="tab:red", lw=6, label="recurrence, outside of the cavity"))
    figure.legend(handles=lines, loc="outside lower center", ncols=4, fontsize=9)
    covered = [100 * float(np.mean(found.plans[k][recurred])) for k in ("margin", "map")]
    figure.suptitle(
        f"patient {number}: the margin covers {covered[0]:.1f} % of the recurrence, the plan by "
        f"the inverted density {covered[1]:.1f} %",
        fontsize=11,
    )
    figure.savefig(path, dpi=90)


def table(rows: list[dict[str, Any]]) -> str:
    """Means, and the difference from the margin with its 95 % interval."""
    lines = [
        "| recurrence | plan | covered, % | minus margin, points (95 %) | better, worse |",
        "|---|---|---|---|---|",
    ]
    for name in ("core", "any"):
        own = [r["covered"][name] for r in rows if name in r["covered"]]
        base = 100 * np.array([r["margin"] for r in own])
        for plan in PLANS:
            values = 100 * np.array([r[plan] for r in own])
            gap = values - base
            half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
            told = "" if plan == "margin" else f"{gap.mean():+.1f} ± {half:.1f}"
            counts = "" if plan == "margin" else f"{np.sum(gap > 0)}, {np.sum(gap < 0)}"
            lines.append(f"| {name} | {plan} | {values.mean():.1f} | {told} | {counts} |")
    plan, core, whole = (
        np.median([get(r) for r in rows])
        for get in (
            lambda r: r["plan"],
            lambda r: r["volumes"]["core"],
            lambda r: r["volumes"]["any"],
        )
    )
    seconds = np.median([r["cpu_seconds"] for r in rows])
    words = f"median volumes {plan:.0f} (plan), {core:.0f} (core), {whole:.0f} cm³ (any)"
    return "\n".join([*lines, f"{len(rows)} patients, {words}, {seconds:.0f} s of CPU each"])


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--patients", type=int, default=60)
    options.add_argument("--table", action="store_true")
    options.add_argument("--picture", type=int, metavar="PATIENT", help="only a figure of one")
    options.add_argument("--image", type=Path, default=Path("tumor_recurrence.png"))
    asked = options.parse_args()
    if asked.picture is not None:
        picture(asked.picture, asked.image)
        return
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for number in range(0 if asked.table else asked.patients):
        if str(number) not in rows:
            rows[str(number)] = measured(number)
            print(number, json.dumps(rows[str(number)]), flush=True)
            write_text(RESULTS, json.dumps(rows, indent=1) + "\n")
    print(table(list(rows.values())))


if __name__ == "__main__":
    main()
