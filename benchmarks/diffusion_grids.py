"""Does a learned prior denoise alike on a grid that is twice as fine as that of its training?

    python benchmarks/diffusion_grids.py WORK            # trains once, ten CPU minutes at most
    python benchmarks/diffusion_grids.py WORK --law "darcy phases"

Backbone ``uno`` is trained on 2000 fields of 32² nodes. Fresh fields of the law on 32² and on 64²
nodes get noise, the same in the cosines that both grids have, and are denoised by the one network.
Of every band of wave numbers: the rms error on 64² over that on 32², beside that of the Wiener
filter. Bands end below 31 half waves along a side, the shortest that 32 nodes hold. Rows are kept
in ``results/diffusion_grids.json``.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from diffusion_parts.cases import LAWS, SEED, Law, Learned  # noqa: E402
from learned_parts.kept import command  # noqa: E402

from pdeinv.bayes.transforms import Exponential  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.plugins.law import law_of  # noqa: E402
from pdeinv.plugins.recipe import load_surrogate, make_problem  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "diffusion_grids.json"
COARSE, FINE = 32, 64
LEVELS = (0.1, 0.3, 1.0, 3.0)
BANDS = (0, 2, 4, 8, 16, 31)
"""Half waves along a side between which errors are summed."""


@dataclass(frozen=True)
class Operator(Learned):
    """A prior whose backbone is an operator."""

    @property
    def path(self) -> Path:
        return self.work / f"uno-{self.epochs}"

    @cached_property
    def folder(self) -> Path:
        if not self.path.exists():
            how = [f"epochs={self.epochs}", "width=16", "backbone=uno"]
            sets = [word for h in how for word in ("--set", f"surrogate.{h}")]
            words = ("--data", self.fields, "--seed", SEED, "--out", self.path)
            spent = command("train-surrogate", "diffusion-prior", *words, *sets)
            (self.work / "seconds.json").write_text(json.dumps({"training": spent}))
        return self.path


def squares(on: Operator, nodes: int, n: int) -> dict[str, Array]:
    """Mean squared errors by half waves along a side, (levels, waves), of net and filter."""
    unknown = {**on.law.table["unknown"], "grid": [nodes, nodes]}
    problem = make_problem(on.law.name, {**on.law.table, "unknown": unknown})
    prior = problem.prior()
    _, law = law_of(load_surrogate(on.folder), problem, prior, problem.sensors("grid:2x2"))
    cosines: Any = law.cosines  # type: ignore[attr-defined]
    m = prior.unwhiten(stream(SEED, "fields").standard_normal((n, prior.dim)))
    own = law.prior.transform  # type: ignore[attr-defined]
    zeta = cosines.zeta(np.log(m) if isinstance(own, Exponential) else m)
    noise = stream(SEED, "more").standard_normal((n, nodes, nodes))
    noise[:, :COARSE, :COARSE] = stream(SEED, "noise").standard_normal((n, COARSE, COARSE))
    waves = np.rint(np.hypot.outer(np.arange(nodes), np.arange(nodes))).astype(int).ravel()
    found: dict[str, list[Array]] = {"net": [], "filter": []}
    for s in LEVELS:
        noisy = zeta + s * noise.reshape(n, -1)
        for name, clean in (("net", law(noisy, s)), ("filter", cosines.wiener(noisy, s))):
            off = np.mean((clean - zeta) ** 2, axis=0) * cosines.power.ravel()
            found[name].append(np.bincount(waves, off)[: COARSE - 1])
    return {k: np.array(v) for k, v in found.items()}


def banded(power: Array) -> Array:
    """Root mean squares in each band, (levels, bands)."""
    parts = [power[:, a:b].sum(axis=1) for a, b in pairwise(BANDS)]
    return np.sqrt(np.stack(parts, axis=1))


def compared(law: Law, work: Path, epochs: int, n: int) -> dict[str, Any]:
    on = Operator(law, work, epochs, 0.01)
    coarse, fine = (squares(on, nodes, n) for nodes in (COARSE, FINE))
    seconds = work / "seconds.json"
    return {
        "fields": n,
        "epochs": epochs,
        **(json.loads(seconds.read_text()) if seconds.exists() else {}),
        "error_over_filter": [
            float(np.sqrt(a.sum() / b.sum()))
            for a, b in zip(coarse["net"], coarse["filter"], strict=True)
        ],
        **{
            f"{k}_fine_over_coarse": (banded(fine[k]) / banded(coarse[k])).tolist()
            for k in ("net", "filter")
        },
    }


def table(rows: dict[str, Any]) -> str:
    bands = [f"{a}–{b - 1}" for a, b in pairwise(BANDS)]
    lines = []
    for name, row in rows.items():
        told = f", {row['training']:.0f} s of CPU of training" if "training" in row else ""
        lines += [
            f"{name.capitalize()}, {row['fields']} fields{told}:",
            "",
            f"| level | net / filter, 32² | {' | '.join(bands)} |",
            "|" + "---|" * (len(bands) + 2),
        ]
        parts = (LEVELS, row["error_over_filter"], row["net_fine_over_coarse"])
        lines += [
            f"| {s:g} | {e:.2f} | {' | '.join(f'{r:.2f}' for r in ratios)} |"
            for s, e, ratios in zip(*parts, strict=True)
        ]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--law", choices=list(LAWS), default="darcy field")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--n", type=int, default=400)
    options = parser.parse_args()
    work = options.work / options.law.replace(" ", "-")
    row = compared(LAWS[options.law], work, options.epochs, options.n)
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows[options.law] = row
    write_text(RESULTS, json.dumps(rows, indent=1))
    print(table(rows))


if __name__ == "__main__":
    main()
