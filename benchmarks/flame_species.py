"""Flames of five species: against Cantera's, how fast, where they go out, and what data tell.

    python benchmarks/flame_species.py                  # what is missing; stop, repeat as you like
    python benchmarks/flame_species.py --only speed --seeds 20

cases       s_L of free flames (30 mm) and Λ of counterflows (20 mm, 1 kg m-2 s-1 against N2) at
            300 K: Cantera's on its grids for slope = curve = .01, .005 and .0025, the first two
            of them halved as well, which takes the first power of the error away; T and Y in
            relative L2.
extinction  the largest mass flux, by pseudo-arclength; Cantera's flame at fluxes on both sides.
speed       a free flame from nothing and a restart with another E, of both, and errors of s_L.
inverse     E of a counterflow at φ = 0.8 from eight quantities at 16 places, with noise of 2 % of
            the largest value of each; data by collocation of order four, and by Cantera.

Cantera's tolerances are 1e-8; its counterflows start from our profiles. Results are kept in
``results/flame_species.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))
import cantera_flames as theirs  # noqa: E402
from flame_collocation import profiles  # noqa: E402

from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig  # noqa: E402
from pdeinv.engines.run.driver import run  # noqa: E402
from pdeinv.engines.run.spec import Run  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.problems.flame.species import FlameSpecies, SpeciesConfig  # noqa: E402
from pdeinv.problems.flame.species.adapt import Criteria, moved_to  # noqa: E402
from pdeinv.problems.flame.species.extinction import Point, extinction  # noqa: E402
from pdeinv.problems.flame.species.fields import to_dataset  # noqa: E402
from pdeinv.problems.flame.species.flames import continuation, setting_of  # noqa: E402
from pdeinv.problems.flame.species.gas import SPECIES  # noqa: E402
from pdeinv.problems.flame.species.model import Solved  # noqa: E402
from pdeinv.problems.flame.species.newton import converged  # noqa: E402
from pdeinv.problems.flame.species.parameters import Parameters, inlet_density  # noqa: E402
from pdeinv.problems.flame.species.start import cold  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "flame_species.json"
ENERGY = Parameters().activation_energy
SPANS = (0.01, 0.005, 0.0025)
FREE = [(0.6, 1.0), (0.8, 1.0), (1.0, 1.0), (1.2, 1.0), (0.8, 5.0), (1.2, 5.0)]
BETWEEN = (0.6, 0.8, 1.0, 1.2)
RICHEST, HALVINGS = 1.0, 4
"""Counterflows that Cantera finds on its own grids; for richer ones our cells are halved."""
LOOSENED = ((1e-4, 1e-8), (1e-6, 1e-10), (1e-8, 1e-13))
LONGEST = 4000
"""Time steps that Cantera may take before it gives up a grid; 500 of its own are too few there."""
NOISE, PLACES = 0.02, 16
PRIOR = (8.3e4, 0.03)
QUANTITIES = "T,u,V," + ",".join(f"Y_{name}" for name in SPECIES)
FACTORS = (0.95, 0.965, 0.97, 0.9725, 0.975, 0.9775, 0.98, 0.9825, 0.985, 0.9875, 0.99, 0.995, 1.0)
"""Of our largest mass flux, at which Cantera's flame is sought."""
FINEST, NEAR_FOLD = 4, (0.98, 0.9875, 0.99, 0.9925, 0.995, 0.9975, 1.0, 1.0025)
"""Halvings of the dearest grid of the fold, and where Cantera's flame is sought on it."""
WARM = 1.02
"""What E is multiplied by for a restart."""


def problem(prior: tuple[float, float] = (ENERGY, 0.005), **table: Any) -> FlameSpecies:
    unknown = {"activation_energy": {"kind": "log-normal", "median": prior[0], "std": prior[1]}}
    return FlameSpecies(SpeciesConfig.model_validate({"unknown": unknown, **table}))


def counterflow(**more: Any) -> FlameSpecies:
    return problem(configuration="counterflow", **more)


# --- against Cantera


def case(configuration: str, phi: float, atmospheres: float) -> dict[str, Any]:
    """The eigenvalue of both, Cantera's on each grid and extrapolated, and distances of fields."""
    at = replace(Parameters(), equivalence_ratio=phi, pressure=atmospheres * 101325.0)
    free = configuration == "free"
    ours = problem(
        configuration=configuration, equivalence_ratio=phi, pressure=at.pressure,
        length=0.03 / atmospheres if free else 0.02, slope=0.02, curve=0.04,
    )  # fmt: skip
    fields = ours.solve(np.array([ENERGY]), 0)
    own = float(fields["s_L" if free else "Lambda"])
    value = (lambda f: float(f.velocity[0])) if free else (lambda f: float(f.L[0]))
    if free or phi <= RICHEST:
        known = by_criteria(at, fields, free, value)
    else:
        known = by_cells(at, fields, value)
    shift = theirs.shift_to(known.finest, fields, at.fixed_temperature) if free else 0.0
    return {
        "ours": own, "points": known.points, "theirs": known.values,
        "extrapolated": known.pair, "limit": known.pair[-1],
        "uncertainty": float(np.ptp(known.pair) / abs(known.pair[-1])),
        "fields": theirs.difference(known.finest, fields, shift),
    }  # fmt: skip


@dataclass(frozen=True)
class Grids:
    """Cantera's eigenvalue on its grids, two of them extrapolated, and its flame on the finest."""

    points: list[int]
    values: list[float]
    pair: list[float]
    finest: Any


def by_criteria(at: Parameters, fields: Any, free: bool, value: Callable[[Any], float]) -> Grids:
    """On grids of Cantera's own criteria, each of the first two extrapolated with its halving."""
    again = (theirs.free_again if free else theirs.counterflow_again)(at)
    rows, pair = [], []
    for span in SPANS:
        flame = theirs.free_flame(at, span) if free else theirs.counterflow_from(at, fields, span)
        rows.append((len(flame.grid), value(flame)))
        if span > SPANS[-1]:
            finer = again(flame, theirs.halved(flame.grid))
            finer.solve(0, refine_grid=False, auto=False)
            pair.append(2 * value(finer) - value(flame))
    return Grids([r[0] for r in rows], [r[1] for r in rows], pair, finer)


def by_cells(at: Parameters, fields: Any, value: Callable[[Any], float]) -> Grids:
    """On our cells, halved, each grid extrapolated with the next.

    Of a rich counterflow Cantera finds no flame on grids of its own criteria, and on our cells, or
    once halved, a flame of another branch; it is loosened first.
    """
    x, own, rows = fields["x"].values[::2], theirs.fields_of(fields), []
    places = x
    for halvings in range(1, HALVINGS + 1):
        x = theirs.halved(x)
        if halvings <= HALVINGS - len(SPANS):
            continue
        for tolerances in LOOSENED:
            flame = theirs.counterflow_on(at, x)
            flame.max_time_step_count = LONGEST
            theirs.started(flame, places, own)
            flame.flame.set_steady_tolerances(default=tolerances)
            flame.flame.set_transient_tolerances(default=tolerances)
            flame.solve(0, refine_grid=False, auto=False)
            places, own = flame.grid, theirs.profiles(flame, True)
        rows.append((len(x), value(flame)))
    values = [r[1] for r in rows]
    pair = [2 * b - a for a, b in pairwise(values)]
    return Grids([r[0] for r in rows], values, pair, flame)


# --- extinction


def fold() -> dict[str, Any]:
    """The fold by ours, and fluxes at which Cantera's flame burns and does not."""
    config = counterflow(slope=0.05, curve=0.1).config
    known = continuation(config, 0, config.centre)
    began = time.process_time()
    way, top = extinction(Point(known.equations, config.centre, known.flame), config.criteria)
    seconds = time.process_time() - began
    found = top.at.mass_flux
    return {
        "mass_flux": found, "strain": top.strain, "hottest": top.hottest, "cpu_seconds": seconds,
        "flames": len(way), "theirs": [theirs_out(found, way, n) for n in (2, 3, FINEST)],
    }  # fmt: skip


def theirs_out(flux: float, way: list[Point], halvings: int) -> dict[str, Any]:
    """Cantera's flames of growing fluxes on our cells, halved so many times, until one is lost."""
    start = [p for p in way if p.at.mass_flux < 0.95 * flux and p.hottest > 1800][-1]
    x = start.equations.grid.places
    for _ in range(halvings):
        x = theirs.halved(x)
    equations, flame = moved_to(start.equations, start.flame, x)
    fields = to_dataset(counterflow().config, 0, Solved(equations, start.at, flame))
    own = theirs.fields_of(fields)
    burns: dict[str, Any] = {"points": len(x), "strain": 0.0, "at": 0.0, "lost": 0.0}
    for factor in NEAR_FOLD if halvings == FINEST else FACTORS:
        at = replace(Parameters(), mass_flux=factor * flux, opposed_mass_flux=factor * flux)
        made = theirs.counterflow_on(at, x)
        theirs.started(made, x, own)
        try:
            made.solve(0, refine_grid=False, auto=False)
        except theirs.ct.CanteraError:
            made = None
        if made is None or made.T.max() < 1000:
            return {**burns, "lost": factor}
        slope = np.gradient(made.velocity, x)
        ahead = slice(0, int(np.argmax(np.gradient(made.T, x))))
        burns |= {"at": factor, "strain": float(-slope[ahead].min())}
        own = theirs.profiles(made, True)
    return burns


# --- speed


def clocked(work: Any, times: int = 5) -> tuple[float, Any]:
    """The least seconds of CPU of some runs, and what the last gave."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        found = work()
        seconds.append(time.process_time() - began)
    return min(seconds), found


def speed() -> dict[str, Any]:
    """Free flames at φ = 0.8 by both: error against the finest, seconds cold and warm."""
    config = problem(length=0.03).config
    setting, at = setting_of(config), config.centre
    warm = replace(at, activation_energy=WARM * ENERGY)
    density = inlet_density(setting, at)[0]

    def ours(criteria: Criteria) -> Any:
        return cold(setting, config.law, config.domain, at, criteria)

    exact = ours(Criteria(0.01, 0.02))[1].eigenvalue / density
    rows: dict[str, Any] = {"exact": exact, "ours": [], "theirs": []}
    for span in (0.3, 0.2, 0.1, 0.05):
        seconds, (equations, flame) = clocked(lambda s=span: ours(Criteria(s, 2 * s)))
        again, _ = clocked(lambda e=equations, f=flame: converged(e, warm, f))
        error = abs(flame.eigenvalue / density / exact - 1)
        rows["ours"].append([len(equations.grid.places), error, seconds, again])
    for span in (0.06, 0.02, 0.01, 0.005):
        seconds, flame = clocked(lambda s=span: plain(at, s), 3)
        error = abs(float(flame.velocity[0]) / exact - 1)
        again = restarted(flame)
        rows["theirs"].append([len(flame.grid), error, seconds, again])
    return rows


def plain(at: Parameters, span: float) -> Any:
    """Cantera's flame with its default tolerances, which are faster."""
    flame = theirs.ct.FreeFlame(theirs.gas_of(at), width=theirs.WIDTH)
    flame.max_grid_points = theirs.POINTS
    theirs.criteria(flame, span)
    flame.solve(0, auto=True)
    return flame


def restarted(flame: Any) -> float:
    """Seconds of CPU of Cantera's restart with another rate on the same grid."""
    old = flame.gas.reaction(0).rate
    rate = theirs.ct.ArrheniusRate(
        old.pre_exponential_factor, old.temperature_exponent, WARM * old.activation_energy
    )
    step = flame.gas.reaction(0)
    step.rate = rate
    flame.gas.modify_reaction(0, step)
    began = time.process_time()
    flame.solve(0, refine_grid=False, auto=False)
    return time.process_time() - began


# --- inverse


def measured(ours: FlameSpecies) -> str:
    """Where and what is measured; a free flame has no V."""
    free = ours.config.configuration == "free"
    return f"grid:{PLACES}@{QUANTITIES.replace('V,', '') if free else QUANTITIES}"


def readings(ours: FlameSpecies, level: int) -> Array:
    return ours.forward_model(ours.sensors(measured(ours)), level)(np.array([ENERGY]))


def exact_data() -> dict[str, Array]:
    """Data without noise, over their scales: by collocation of order four, and by Cantera."""
    ours = counterflow(slope=0.02, curve=0.04)
    fields = ours.solve(np.array([ENERGY]), 0)
    x = np.linspace(0, 0.02, PLACES + 2)[1:-1]
    own = profiles(ours.config, ours.config.centre, counterflow().solve(np.array([ENERGY]), 0), x)
    masses = [own[f"Y_{name}"] / 0.125 for name in SPECIES]
    flame = theirs.counterflow_from(Parameters(), fields, 0.01)
    found = [flame.T / 1024, flame.velocity, flame.spread_rate / 128, *(flame.Y / 0.125)]
    by_cantera = np.concatenate([np.interp(x, flame.grid, values) for values in found])
    return {
        "ours": np.concatenate([own["T"] / 1024, own["u"], own["V"] / 128, *masses]),
        "cantera": by_cantera,
    }


def spreads(exact: Array) -> Array:
    """2 % of the largest value of each quantity."""
    table = np.abs(exact.reshape(-1, PLACES)).max(axis=1)
    return np.repeat(NOISE * table, PLACES)


def estimate(ours: FlameSpecies, data: Array, noise: Noise, seed: int) -> dict[str, Any]:
    """The most probable E by engine ``laplace``, and the 90 % band of its draws."""
    prior = ours.prior()
    model = ours.forward_model(ours.sensors(measured(ours)))
    posterior = Posterior(prior, WhitenedModel(prior, model), data, noise)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        engine = Laplace(LaplaceConfig(draws=2000, starts=1))
        found = run(engine, lambda: posterior, Run(seed, Path(folder))).outcome
    seconds = time.process_time() - began
    m = prior.unwhiten(np.asarray(found.groups["laplace"]["xi_map"]).ravel())
    low, high = np.quantile(prior.unwhiten(found.xi).ravel(), [0.05, 0.95])
    return {
        "energy": float(m[0]), "low": float(low), "high": float(high),
        "cpu_seconds": round(seconds, 3), "solves": posterior.counters.n_forward,
    }  # fmt: skip


def inverse(kept: dict[str, Any], seeds: int, save: Any) -> None:
    """Data sets that are not there yet."""
    ours, exact = counterflow(prior=PRIOR), exact_data()
    m = np.array([ENERGY])
    model = ours.forward_model(ours.sensors(measured(ours)))
    sigma = spreads(exact["ours"])
    slope = model.linearize(m).jvp(m) / sigma
    kept["bound"] = float((slope @ slope) ** -0.5)
    kept["gap to cantera"] = float(np.abs((exact["ours"] - exact["cantera"]) / sigma).max())
    for name, values in exact.items():
        rows = kept.setdefault(name, {})
        noise = Noise(sigma)
        if "without noise" not in rows:
            rows["without noise"] = estimate(ours, values, noise, 0)
        for seed in range(seeds if name == "ours" else min(seeds, 20)):
            if str(seed) not in rows:
                data = noise.draw(values[None], stream(seed, "flame species"))[0]
                rows[str(seed)] = estimate(ours, data, noise, seed)
                save()


# --- all of it


def summary(kept: dict[str, Any]) -> str:
    lines = []
    if "cases" in kept:
        lines += ["| case | ours | Cantera, extrapolated | difference | T | Y, worst |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for name, row in kept["cases"].items():
            gap, fields = row["ours"] / row["limit"] - 1, dict(row["fields"])
            hot = fields.pop("T")
            cantera = f"{row['limit']:.6g} ± {100 * row['uncertainty']:.4f} %"
            lines.append(
                f"| {name} | {row['ours']:.6g} | {cantera} | {100 * gap:+.4f} % | "
                f"{100 * hot:.3f} % | {100 * max(fields.values()):.3f} % |"
            )
    lines += at_fold(kept["extinction"]) if "extinction" in kept else []
    lines += [json.dumps(kept["speed"], indent=1)] if "speed" in kept else []
    for name in ("ours", "cantera"):
        rows = [r for k, r in kept.get("inverse", {}).get(name, {}).items() if k != "without noise"]
        if not rows:
            continue
        error = np.log([r["energy"] / ENERGY for r in rows])
        bound = kept["inverse"]["bound"]
        covered = np.mean([r["low"] <= ENERGY <= r["high"] for r in rows])
        clean = kept["inverse"][name]["without noise"]["energy"] / ENERGY - 1
        lines.append(
            f"{name}: {len(rows)} data sets, rms {100 * np.sqrt(np.mean(error**2)):.4f} %, bound "
            f"{100 * bound:.4f} %, ratio {np.sqrt(np.mean(error**2)) / bound:.2f}, 90 % bands "
            f"cover {covered:.3f}, bias without noise "
            f"{100 * clean:+.5f} %, "
            f"{np.median([r['solves'] for r in rows]):.0f} solves, "
            f"{np.median([r['cpu_seconds'] for r in rows]):.2f} s of CPU"
        )
    return "\n".join(lines)


def at_fold(row: dict[str, Any]) -> list[str]:
    """The fold of both; of Cantera's the middle of the bracket, and two grids extrapolated."""
    lines = [
        "| grid | burns, of our flux | lost | last strain, s-1 |",
        "|---|---|---|---|",
        f"| ours | {row['mass_flux']:.4f} kg m-2 s-1 | | {row['strain']:.1f} |",
    ]
    known = row["theirs"]
    lines += [
        f"| Cantera, {r['points']} points | {100 * r['at']:.2f} % | {100 * r['lost']:.2f} % | "
        f"{r['strain']:.1f} |"
        for r in known
    ]
    for a, b in pairwise(known):
        flux = 2 * (b["at"] + b["lost"]) / 2 - (a["at"] + a["lost"]) / 2
        width = (2 * (b["lost"] - b["at"]) + a["lost"] - a["at"]) / 2
        strain = 2 * b["strain"] - a["strain"]
        lines.append(
            f"| {a['points']} and {b['points']}, extrapolated | {100 * flux:.2f} ± "
            f"{100 * width:.2f} % | | {strain:.1f} ({100 * (strain / row['strain'] - 1):+.2f} %) |"
        )
    return lines


def main() -> None:
    """Measure what is missing and print the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", choices=["cases", "extinction", "speed", "inverse"])
    options.add_argument("--seeds", type=int, default=200)
    given = options.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}

    def save() -> None:
        write_text(RESULTS, json.dumps(kept, indent=1) + "\n")

    def wanted(part: str) -> bool:
        return given.only in (None, part)

    if wanted("speed") and "speed" not in kept:
        kept["speed"] = speed()
    if wanted("inverse"):
        inverse(kept.setdefault("inverse", {}), given.seeds, save)
    if wanted("extinction") and "extinction" not in kept:
        kept["extinction"] = fold()
    save()
    if wanted("cases"):
        cases = kept.setdefault("cases", {})
        todo = [("free", phi, p) for phi, p in FREE] + [
            ("counterflow", phi, 1.0) for phi in BETWEEN
        ]
        for configuration, phi, p in todo:
            name = f"{configuration}, φ {phi:g}, {p:g} atm"
            if name not in cases:
                cases[name] = case(configuration, phi, p)
                save()
    print(summary(kept))


if __name__ == "__main__":
    main()
