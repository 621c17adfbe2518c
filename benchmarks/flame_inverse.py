"""How well ten noisy temperatures and velocities tell a flame, against what any estimate can do.

    python benchmarks/flame_inverse.py                 # 200 data sets; stop, repeat as you like
    python benchmarks/flame_inverse.py --seeds 20 --hmc 2

The inverse problem of FlamePINN-1D's first case: φ = 0.46, T and u at ten even places, 2 % noise on
each value, unknown λ and E, the gradient at the inlet known or unknown. Data are those of 800
cells, the inversion has 200. One search of engine ``laplace`` from the centre of wide priors (λ
0.03, E 1.3e5, gradient 1.3e5; standard deviations of logarithms 0.5, 0.3, 1), its Gaussian bands
and, for some data sets, those of ``hmc``:
two chains of 200 draws after 100 of warm-up, kept with R-hat and effective draws.

The bound is that of Cramér and Rao, from the model's own derivative at the truth; that of the flame
speed by its derivative. Results are kept in ``results/flame_inverse.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from pdeinv.bayes.diagnostics import components  # noqa: E402
from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.engines.base import Engine, Outcome  # noqa: E402
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig  # noqa: E402
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig  # noqa: E402
from pdeinv.engines.run.driver import run  # noqa: E402
from pdeinv.engines.run.spec import Run  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.flame import Flame, FlameConfig  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "flame_inverse.json"
NOISE, POINTS, PHI = 0.02, 10, 0.46
LENGTH = 1.5e-3
PLACES = "list:" + ";".join(repr(x) for x in np.linspace(0.0, LENGTH, POINTS).tolist()) + "@T,u"
NAMES = ("lambda", "E", "s_L")
BAND = (0.05, 0.95)
SPREAD = {"conductivity": (0.03, 0.5), "activation_energy": (1.3e5, 0.3)}
HMC = HmcConfig(chains=2, draws=200, warmup=100, searches=1)
SLOPE = {"inlet_gradient": (1.3e5, 1.0)}


def problem(known: bool) -> Flame:
    """The flame with the gradient at the inlet known, or unknown."""
    sought = SPREAD if known else {**SPREAD, **SLOPE}
    unknown = {
        name: {"median": m, "std": s, "kind": "log-normal"} for name, (m, s) in sought.items()
    }
    return Flame(FlameConfig.model_validate({"equivalence_ratio": PHI, "unknown": unknown}))


def truth(flame: Flame) -> Array:
    """m of the constants that are configured."""
    return np.array([getattr(flame.config, name) for name in flame.config.unknown.sought])


def with_speed(flame: Flame, places: Sensors) -> Sensors:
    """The same sensors with the flame speed as last datum."""
    return {name: np.append(places[name], flame.sensors("speed")[name]) for name in places}


def bound(flame: Flame, places: Sensors) -> Array:
    """The least relative standard deviations of λ, E and s_L."""
    m = truth(flame)
    at = flame.forward_model(with_speed(flame, places)).linearize(m)
    logs = np.stack([at.jvp(e) for e in np.diag(m)], axis=1) / at.value[:, None]
    inverse = np.linalg.inv(logs[:-1].T @ logs[:-1]) * NOISE**2
    speed = logs[-1] @ inverse @ logs[-1]
    return np.sqrt([*np.diag(inverse)[:2], speed])


def ended(engine: Engine[Any], posterior: Posterior, seed: int) -> Outcome:
    """What an engine finds."""
    with tempfile.TemporaryDirectory() as folder:
        return run(engine, lambda: posterior, Run(seed, Path(folder))).outcome


def bands(flame: Flame, found: Outcome, at: Array) -> dict[str, Any]:
    """The 90 % bands of draws for λ, E and s_L, that of s_L by its derivative at ``at``."""
    m = flame.prior().unwhiten(found.xi).reshape(-1, flame.prior().space.size)
    speed = flame.forward_model(flame.sensors("speed")).linearize(at)
    slope = speed.vjp(np.ones(1)) * at / speed.value[0]
    s = speed.value[0] * np.exp(np.log(m / at) @ slope)
    low, high = (
        [*np.quantile(m[:, :2], q, axis=0).tolist(), float(np.quantile(s, q))] for q in BAND
    )
    return {"low": low, "high": high, "converged": bool(found.converged)}


def measured(seed: int, known: bool, exact: Array, hmc: bool) -> dict[str, Any]:
    """One data set: the estimate, and its bands."""
    flame = problem(known)
    places, prior = flame.sensors(PLACES), flame.prior()
    noise = Noise(NOISE * np.abs(exact))
    data = noise.draw(exact[None], stream(seed, "flame noise"))[0]
    posterior = Posterior(prior, WhitenedModel(prior, flame.forward_model(places)), data, noise)
    began = time.process_time()
    found = ended(Laplace(LaplaceConfig(draws=2000, starts=1)), posterior, seed)
    seconds, solves = time.process_time() - began, posterior.counters.n_forward
    at = prior.unwhiten(np.asarray(found.groups["laplace"]["xi_map"]).ravel())
    speed = flame.forward_model(flame.sensors("speed"))(at)[0]
    out = {
        "estimate": [float(at[0]), float(at[1]), float(speed)],
        "laplace": bands(flame, found, at),
        "cpu_seconds": round(seconds, 3),
        "solves": solves,
    }
    if hmc:
        began = time.process_time()
        found = ended(Hmc(HMC), posterior, seed)
        seconds = round(time.process_time() - began, 2)
        mixed = components(found.xi)
        out["hmc"] = bands(flame, found, at) | {
            "r_hat": float(np.max(mixed.r_hat)),
            "ess": float(np.min(mixed.ess_bulk)),
            "cpu_seconds": seconds,
        }
    return out


def summary(rows: dict[str, dict[str, Any]]) -> str:
    """Errors beside bounds, and how often bands cover the truth."""
    lines = [
        "| gradient | | rms error | bound | ratio | laplace covers | hmc covers |",
        "|---|---|---|---|---|---|---|",
    ]
    notes = []
    for known in (True, False):
        own = [row["known" if known else "unknown"] for row in rows.values()]
        flame = problem(known)
        speed = flame.sensors("speed")
        right = np.append(truth(flame)[:2], flame.forward_model(speed, 2)(truth(flame)))
        right[2:] = right[-1]
        least = bound(flame, flame.sensors(PLACES))
        error = np.array([row["estimate"] for row in own]) / right[:3] - 1
        rms = np.sqrt(np.mean(error**2, axis=0))
        covered = {name: cover(own, name, right) for name in ("laplace", "hmc")}
        word = "known" if known else "unknown"
        lines += [
            f"| {word} | {name} | {100 * rms[k]:.2f} % | {100 * least[k]:.2f} % | "
            f"{rms[k] / least[k]:.2f} | {covered['laplace'][0][k]} | {covered['hmc'][0][k]} |"
            for k, name in enumerate(NAMES)
        ]
        notes.append(
            f"{word}: {len(own)} data sets, {covered['hmc'][1]} by hmc; median "
            f"{np.median([r['solves'] for r in own]):.0f} solves, "
            f"{np.median([r['cpu_seconds'] for r in own]):.2f} s of CPU; "
            f"{sum(r['laplace']['converged'] for r in own)} converged"
        )
    return "\n".join([*lines, *notes])


def cover(rows: list[dict[str, Any]], name: str, right: Array) -> tuple[list[str], int]:
    """The share of bands that cover each number, as text, and of how many."""
    found = [row[name] for row in rows if name in row]
    if not found:
        return ["-"] * len(NAMES), 0
    inside = [
        np.mean([b["low"][k] <= right[k] <= b["high"][k] for b in found]) for k in range(len(NAMES))
    ]
    return [f"{share:.3f}" for share in inside], len(found)


def main() -> None:
    """Measure what is missing and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--hmc", type=int, default=200, help="so many of them by hmc as well")
    given = options.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    fine = {k: problem(k) for k in (True, False)}
    exact = {k: f.forward_model(f.sensors(PLACES), 2)(truth(f)) for k, f in fine.items()}
    for seed in range(given.seeds):
        row, before = rows.setdefault(str(seed), {}), json.dumps(rows.get(str(seed)))
        for known, word in ((True, "known"), (False, "unknown")):
            hmc = seed < given.hmc
            if word not in row or (hmc and "hmc" not in row[word]):
                row[word] = measured(seed, known, exact[known], hmc)
        if json.dumps(row) != before:
            print(seed, json.dumps(row), flush=True)
            write_text(RESULTS, json.dumps(rows, indent=1) + "\n")
    print(summary(rows))


if __name__ == "__main__":
    main()
