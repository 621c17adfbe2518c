"""A network that is trained on the flame itself, beside finite elements: forward and inverse.

    python benchmarks/flame_pinn.py                 # both; stop, repeat as you like
    python benchmarks/flame_pinn.py --seeds 40 --phis 0.42

Forward: the flame of FlamePINN-1D's first case (1 atm, 298 K) by ``solve --solver pinn``, against
quadratic elements of mesh level 2, whose s_L is exact to 1e-7. Three seeds of the network each.

Inverse: the first data sets of ``flame_inverse.py``, the very same ones (φ = 0.46, T and u at ten
places, 2 % noise), by engine ``pinn`` from the same priors. What finite elements found on them
stands in ``results/flame_inverse.json``. Both minimise Φ + ½‖ξ‖², so that they should agree.

CPU seconds of one thread. Results are kept in ``results/flame_pinn.json``.
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

import flame_inverse as elements  # noqa: E402
import numpy as np  # noqa: E402

from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.plugins.hooks import strong_form  # noqa: E402
from pdeinv.problems.flame import Flame, FlameConfig  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.surrogates.pinn.config import PinnConfig  # noqa: E402
from pdeinv.surrogates.pinn.engine import Pinn, PinnEngineConfig  # noqa: E402
from pdeinv.surrogates.pinn.forward import relative_l2, solve  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "flame_pinn.json"
FORWARD = PinnConfig(points=200, adam_steps=0)
INVERSE = PinnEngineConfig(
    points=200, adam_steps=0, newton_steps=600, penalty_start=1e3, penalty=1e7, settle=0.005
)
PHIS = (0.40, 0.42, 0.44, 0.46, 0.48, 0.50)
WORDS = ("known", "unknown")


def free_flame(phi: float) -> Flame:
    """The flame whose constants are the medians of its priors."""
    return Flame(
        FlameConfig.model_validate(
            {
                "equivalence_ratio": phi,
                "unknown": {
                    "conductivity": {"kind": "log-normal", "median": 0.026, "std": 0.2},
                    "activation_energy": {"kind": "log-normal", "median": 121417.2, "std": 0.1},
                },
            }
        )
    )


def forward(phi: float, seed: int) -> dict[str, Any]:
    """One training, and how far its flame is from that of finite elements."""
    flame = free_flame(phi)
    m = elements.truth(flame)
    reference = flame.solve(m, 2)
    began = time.process_time()
    found = solve(flame, m, FORWARD, seed)
    seconds = time.process_time() - began
    fields = found.fields(2)
    return {
        "T": relative_l2(flame.strong_form(), fields, reference),
        "s_L": float(fields["s_L"]) / float(reference["s_L"]) - 1,
        "residual": found.state.residual,
        "iterations": found.state.iterations,
        "cpu_seconds": round(seconds, 2),
    }


def inverse(seed: int, known: bool, exact: Array) -> dict[str, Any]:
    """One data set: the estimate of the network."""
    flame = elements.problem(known)
    places, prior = flame.sensors(elements.PLACES), flame.prior()
    noise = Noise(elements.NOISE * np.abs(exact))
    data = noise.draw(exact[None], stream(seed, "flame noise"))[0]
    model = WhitenedModel(prior, flame.forward_model(places), strong_form(flame, places))
    posterior = Posterior(prior, model, data, noise)
    began = time.process_time()
    found = elements.ended(Pinn(INVERSE), posterior, seed)
    seconds = time.process_time() - began
    m = prior.unwhiten(found.xi.ravel())
    speed = flame.forward_model(flame.sensors("speed"))(m)[0]
    return {
        "estimate": [float(m[0]), float(m[1]), float(speed)],
        "cpu_seconds": round(seconds, 2),
        "iterations": found.summary["iterations"],
        "converged": bool(found.converged),
    }


def forward_table(rows: dict[str, dict[str, Any]]) -> str:
    """The errors and times of each mixture, the worst of its trainings."""
    lines = ["| φ | T, relative L2 | s_L, relative | CPU s |", "|---|---|---|---|"]
    for phi in sorted({name.split()[0] for name in rows}):
        own = [row for name, row in rows.items() if name.split()[0] == phi]
        t, s = (max(abs(row[name]) for row in own) for name in ("T", "s_L"))
        seconds = np.median([row["cpu_seconds"] for row in own])
        lines.append(f"| {phi} | {100 * t:.3f} % | {s:.1e} | {seconds:.1f} |")
    return "\n".join(lines)


def inverse_table(rows: dict[str, dict[str, Any]]) -> str:
    """Errors of both estimators on the same data sets."""
    before = json.loads(elements.RESULTS.read_text())
    lines = [
        "| gradient | | network: rms error | finite elements | ratio | largest difference |",
        "|---|---|---|---|---|---|",
    ]
    notes = []
    for word in WORDS:
        seeds = [seed for seed, row in rows.items() if word in row]
        if not seeds:
            continue
        flame = elements.problem(word == "known")
        speed = flame.forward_model(flame.sensors("speed"), 2)(elements.truth(flame))
        right = np.append(elements.truth(flame)[:2], speed)
        own, other = (
            np.array([table[seed][word]["estimate"] for seed in seeds]) / right - 1
            for table in (rows, before)
        )
        rms, others = (np.sqrt(np.mean(e**2, axis=0)) for e in (own, other))
        apart = np.abs(own - other).max(axis=0)
        lines += [
            f"| {word} | {name} | {100 * rms[k]:.2f} % | {100 * others[k]:.2f} % | "
            f"{rms[k] / others[k]:.2f} | {100 * apart[k]:.2f} % |"
            for k, name in enumerate(elements.NAMES)
        ]
        seconds = [np.median([t[s][word]["cpu_seconds"] for s in seeds]) for t in (rows, before)]
        notes.append(
            f"{word}: {len(seeds)} data sets, {sum(rows[s][word]['converged'] for s in seeds)} "
            f"converged; median CPU s {seconds[0]:.1f} and {seconds[1]:.2f}"
        )
    return "\n".join([*lines, *notes])


def main() -> None:
    """Measure what is missing and print both tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=20, help="data sets")
    options.add_argument("--phis", type=float, nargs="*", default=PHIS)
    given = options.parse_args()
    import torch

    torch.set_num_threads(1)
    empty: dict[str, Any] = {"forward": {}, "inverse": {}}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else empty

    def keep() -> None:
        write_text(RESULTS, json.dumps(kept, indent=1) + "\n")

    for phi in given.phis:
        for seed in (1, 2, 3):
            name = f"{phi:.2f} seed {seed}"
            if name not in kept["forward"]:
                kept["forward"][name] = forward(phi, seed)
                print(name, kept["forward"][name], flush=True)
                keep()
    flames = [elements.problem(word == "known") for word in WORDS]
    exact = [f.forward_model(f.sensors(elements.PLACES), 2)(elements.truth(f)) for f in flames]
    for word, clean in zip(WORDS, exact, strict=True):
        for seed in range(given.seeds):
            row = kept["inverse"].setdefault(str(seed), {})
            if word not in row:
                row[word] = inverse(seed, word == "known", clean)
                print(seed, word, row[word], flush=True)
                keep()
    print(forward_table(kept["forward"]))
    print(inverse_table(kept["inverse"]))


if __name__ == "__main__":
    main()
