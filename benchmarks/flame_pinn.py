"""A network that is trained on the flame itself, beside finite elements: forward and inverse.

    python benchmarks/flame_pinn.py                 # both; stop, repeat as you like
    python benchmarks/flame_pinn.py --seeds 40 --phis 0.42

Forward: the flame of FlamePINN-1D's first case (1 atm, 298 K) by ``solve --solver pinn``, against
quadratic elements of mesh level 2, whose s_L is exact to 1e-7. Three seeds of the network each.

Inverse: the first data sets of ``flame_inverse.py``, the very same ones (φ = 0.46, T and u at ten
places, 2 % noise), by engine ``pinn`` from the same priors. What finite elements found on them
stands in ``results/flame_inverse.json``. Both minimise Φ + ½‖ξ‖², so that they should agree.

Species: flames of five species, free (FlamePINN-1D's second case) and between two streams (the
third), against finite elements with slope = .05 on halved cells; and the activation energy of
both at φ = 0.8 from eight quantities (of the free flame seven) at 16 places with noise of 2 % of
the largest value of each; those of the counterflow are the first data sets of ``flame_species.py``.

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
import flame_species as five  # noqa: E402
import numpy as np  # noqa: E402

from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.plugins.hooks import strong_form  # noqa: E402
from pdeinv.problems.flame import Flame, FlameConfig  # noqa: E402
from pdeinv.problems.flame.species import flames as flames_of_species  # noqa: E402
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
FREE = PinnConfig(points=200, adam_steps=0, tolerance=3e-4)
BETWEEN = PinnConfig(width=20, points=300, adam_steps=0, newton_steps=400, tolerance=1e-6)
ENERGY = {
    "free": PinnEngineConfig(
        points=200, adam_steps=0, newton_steps=600, penalty_start=1e3, penalty=1e7, settle=0.005
    ),
    "counterflow": PinnEngineConfig(
        width=20, points=300, adam_steps=0, newton_steps=2000, penalty_start=1e5, penalty=1e9,
        settle=2e-3,
    ),
}  # fmt: skip
SPECIES = [("free", 0.8), ("counterflow", 0.8), ("free", 0.6), ("free", 1.0), ("free", 1.2)]
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


def of_species(configuration: str, phi: float, seed: int) -> dict[str, Any]:
    """One training of a flame of five species, beside finite elements from nothing."""
    own = five.problem(configuration=configuration, equivalence_ratio=phi)
    m, config = np.array([five.ENERGY]), BETWEEN if configuration == "counterflow" else FREE
    own.solve(m, 1)  # compiles
    flames_of_species._continuation.cache_clear()
    began = time.process_time()
    reference = own.solve(m, 1)
    elements_seconds = time.process_time() - began
    began = time.process_time()
    found = solve(own, m, config, seed)
    seconds = time.process_time() - began
    fields = found.fields(1)
    errors = {
        name: float(
            np.linalg.norm(fields[name] - reference[name]) / np.linalg.norm(reference[name])
        )
        for name in own.strong_form().fields
    }
    ((number, value),) = found.numbers.items()
    return {
        "errors": errors,
        number: value,
        "eigenvalue": value / float(reference[number]) - 1,
        "residual": found.state.residual,
        "iterations": found.state.iterations,
        "cpu_seconds": round(seconds, 2),
        "elements_cpu_seconds": round(elements_seconds, 3),
    }


def energy(configuration: str, seed: int, exact: Array) -> dict[str, Any]:
    """E of a flame from one data set, by the network and by finite elements."""
    own = five.problem(five.PRIOR, configuration=configuration)
    noise, prior = Noise(five.spreads(exact)), own.prior()
    data = noise.draw(exact[None], stream(seed, "flame species"))[0]
    places = own.sensors(five.measured(own))
    model = WhitenedModel(prior, own.forward_model(places), strong_form(own, places))
    began = time.process_time()
    found = elements.ended(Pinn(ENERGY[configuration]), Posterior(prior, model, data, noise), seed)
    seconds = time.process_time() - began
    beside = five.estimate(own, data, noise, seed)
    return {
        "energy": float(prior.unwhiten(found.xi.ravel())[0]),
        "elements": beside["energy"],
        "sd": float(np.log(beside["high"] / beside["low"]) / 3.2897),
        "cpu_seconds": round(seconds, 2),
        "elements_cpu_seconds": beside["cpu_seconds"],
        "iterations": found.summary["iterations"],
        "converged": bool(found.converged),
        "message": found.message,
    }


def species_table(rows: dict[str, dict[str, Any]]) -> str:
    """Errors and times of flames of five species."""
    lines = [
        "| flame | T, relative L2 | Y, worst | s_L or Λ | steps | CPU s | finite elements |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        errors = dict(row["errors"])
        hot = errors.pop("T")
        lines.append(
            f"| {name} | {100 * hot:.3f} % | {100 * max(errors.values()):.3f} % | "
            f"{row['eigenvalue']:+.1e} | {row['iterations']} | {row['cpu_seconds']:.0f} | "
            f"{row['elements_cpu_seconds']:.2f} |"
        )
    return "\n".join(lines)


def energy_table(rows: dict[str, dict[str, Any]]) -> str:
    """E by both estimators."""
    lines = ["| flame, data set | network | finite elements | difference, by sd | CPU s | |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for seed, row in rows.items():
        apart = np.log(row["energy"] / row["elements"]) / row["sd"]
        gaps = [100 * (row[k] / five.ENERGY - 1) for k in ("energy", "elements")]
        lines.append(
            f"| {seed} | {gaps[0]:+.3f} % | {gaps[1]:+.3f} % | {apart:+.2f} | "
            f"{row['cpu_seconds']:.0f} | {row['elements_cpu_seconds']:.2f} |"
        )
    return "\n".join(lines)


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
    options.add_argument("--only", choices=["one", "species", "energy"])
    options.add_argument("--energies", type=int, default=5, help="data sets of each")
    options.add_argument("--flames", nargs="*", default=[*ENERGY], choices=[*ENERGY])
    given = options.parse_args()
    import torch

    torch.set_num_threads(1)
    empty: dict[str, Any] = {"forward": {}, "inverse": {}}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else empty

    def keep() -> None:
        write_text(RESULTS, json.dumps(kept, indent=1) + "\n")

    if given.only in (None, "species"):
        for configuration, phi in SPECIES:
            name, rows = f"{configuration}, φ {phi:g}", kept.setdefault("species", {})
            if name not in rows:
                rows[name] = of_species(configuration, phi, 1)
                print(name, rows[name], flush=True)
                keep()
        print(species_table(kept["species"]))
    if given.only in (None, "energy"):
        energies(kept.setdefault("energy", {}), given, keep)
    if given.only in (None, "one"):
        one_equation(kept, given, keep)


def energies(rows: dict[str, Any], given: argparse.Namespace, keep: Any) -> None:
    """E of both flames of five species."""
    for configuration in given.flames:
        fine = five.problem(configuration=configuration, slope=0.02, curve=0.04)
        clean = five.readings(fine, 1)
        for seed in range(given.energies):
            name = f"{configuration}, {seed}"
            if name not in rows:
                rows[name] = energy(configuration, seed, clean)
                print(name, rows[name], flush=True)
                keep()
    print(energy_table(rows))


def one_equation(kept: dict[str, Any], given: argparse.Namespace, keep: Any) -> None:
    """FlamePINN-1D's first case, forward and inverse."""
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
