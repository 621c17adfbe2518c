"""What flame speeds of hydrogen tell of the rates of its mechanism, and what a simpler model costs.

    python benchmarks/flame_rates.py                  # everything; stop, repeat as you like
    python benchmarks/flame_rates.py --seeds 4 --without-two-level

Twelve pre-exponential factors of ``h2o2.yaml``, each with an uncertainty factor, from flame speeds
at fifteen conditions (φ 0.6 to 3, 0.5 to 3 atm, 298 and 400 K) with 2 % noise. Data: multicomponent
transport with thermal diffusion, on grids four times finer than those of the inversion, which has
the same transport; both extrapolate over two grids. Each data set has a truth of its own, drawn
from the prior.

The spectrum of Γ^(-1/2) J L at the middle of the prior, L its root, says which directions the data
tell; an eigenvalue above 1 means that they tell more than the prior. Bands are those of engine
``laplace`` along these directions. The second table inverts the same data with mixture-averaged
transport: as it is, and with the error of that model, its mean and covariance estimated from draws
of the prior (Kaipio and Somersalo 2007). ``map`` and ``two-level`` invert the first data
set, the latter on processes of draws of the prior, and of draws near the posterior. Results are
kept in ``results/flame_rates.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

import pdeinv  # noqa: E402
from pdeinv.bayes.noise import Noise  # noqa: E402
from pdeinv.bayes.posterior import Posterior, WhitenedModel  # noqa: E402
from pdeinv.config import dump_toml, parse  # noqa: E402
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig  # noqa: E402
from pdeinv.engines.run.driver import run  # noqa: E402
from pdeinv.engines.run.spec import Run  # noqa: E402
from pdeinv.io import netcdf  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.io.observations import Observations, to_dataset  # noqa: E402
from pdeinv.model.observed import Sensors  # noqa: E402
from pdeinv.problems.flame.detailed import DetailedConfig, FlameCantera  # noqa: E402
from pdeinv.rng import stream  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "flame_rates.json"
NOISE, BAND, ACTIVE, FINER, DRAWS = 0.02, (0.05, 0.95), 1.0, 2, 20
ATM = 101325.0

FACTORS = {
    "H + O2 <=> O + OH": 1.3,
    "H2 + O <=> H + OH": 1.6,
    "H2 + OH <=> H + H2O": 1.5,
    "2 OH <=> H2O + O": 1.6,
    "H + O2 + N2 <=> HO2 + N2": 1.8,
    "H + O2 + H2O <=> HO2 + H2O": 2.0,
    "H + HO2 <=> H2O + O": 2.0,
    "H + HO2 <=> H2 + O2": 2.0,
    "H + HO2 <=> 2 OH": 1.8,
    "H + OH + M <=> H2O + M": 2.0,
    "2 H + M <=> H2 + M": 2.0,
    "HO2 + OH <=> H2O + O2": 2.0,
}
CONDITIONS = [
    *((ATM, 298.0, phi) for phi in (0.6, 0.8, 1.0, 1.4, 2.0, 3.0)),
    *((3 * ATM, 298.0, phi) for phi in (1.0, 1.5, 2.5)),
    *((0.5 * ATM, 298.0, phi) for phi in (0.8, 1.2, 2.0)),
    *((ATM, 400.0, phi) for phi in (0.6, 1.0, 2.0)),
]
TRANSPORT = {
    "full": {"transport": "multicomponent", "soret": True},
    "averaged": {"transport": "mixture-averaged"},
}


@cache
def problem(transport: str) -> FlameCantera:
    """The flames with one model of transport."""
    rates = {name: {"log_a": {"uncertainty_factor": f}} for name, f in FACTORS.items()}
    table = {
        **TRANSPORT[transport],
        "length": 0.015,
        "slope": 0.12,
        "curve": 0.24,
        "extrapolate": True,
        "species": [],
        "unknown": {"rates": rates},
    }
    return FlameCantera(parse(DetailedConfig, table, "problem"))


@cache
def places() -> Sensors:
    """The flame speeds of all conditions."""
    p, t, phi = np.array(CONDITIONS).T
    zeros = np.zeros(len(p))
    return {"quantity": zeros, "x": zeros, "p": p, "T_in": t, "phi": phi, "mass_flux": zeros}


@cache
def model(transport: str, level: int = 0) -> WhitenedModel:
    """ξ to flame speeds."""
    own = problem(transport)
    return WhitenedModel(own.prior(), own.forward_model(places(), level))


@cache
def spectrum() -> tuple[Array, Array]:
    """Eigenvalues, and directions in ξ as columns, at the middle of the prior."""
    at = model("full").linearize(np.zeros(len(FACTORS)))
    rows = np.stack([at.vjp(e) for e in np.eye(len(CONDITIONS))]) / (NOISE * at.value)[:, None]
    _, values, directions = np.linalg.svd(rows)
    return values**2, directions.T


def truth(seed: int) -> Array:
    """ξ of a data set."""
    return stream(seed, "flame rates").standard_normal(len(FACTORS))


def exact(seed: int, rows: dict[str, Any]) -> Array:
    """Flame speeds of its truth, on the finer grids."""
    kept = rows.setdefault(str(seed), {})
    if "exact" not in kept:
        kept["exact"] = model("full", FINER)(truth(seed)).tolist()
    return np.array(kept["exact"])


def measured(seed: int, rows: dict[str, Any]) -> tuple[Array, Noise]:
    """Noisy speeds, and their noise."""
    speeds = exact(seed, rows)
    noise = Noise(NOISE * speeds)
    return noise.draw(speeds[None], stream(seed, "flame noise"))[0], noise


def error_of_averaged(rows: dict[str, Any]) -> tuple[Array, Array]:
    """Mean and covariance of what mixture-averaged speeds lack, over those speeds."""
    if "error" not in rows:
        found = []
        for k in range(DRAWS):
            xi = stream(k, "flame model error").standard_normal(len(FACTORS))
            full, averaged = model("full")(xi), model("averaged")(xi)
            found.append((full / averaged - 1.0).tolist())
        rows["error"] = found
    ratio = np.array(rows["error"])
    return ratio.mean(axis=0), np.cov(ratio.T)


class Corrected:
    """Speeds times (1 + mean error of the model)."""

    def __init__(self, inner: WhitenedModel, factor: Array) -> None:
        self._inner, self._factor = inner, factor
        self.m_space, self.d_space = inner.m_space, inner.d_space
        self.capabilities, self.kind = inner.capabilities, inner.kind

    def __call__(self, xi: Array) -> Array:
        return self._factor * self._inner(xi)

    def linearize(self, xi: Array) -> Any:
        from dataclasses import replace

        at = self._inner.linearize(xi)
        return replace(
            at,
            value=self._factor * at.value,
            jvp=lambda d: self._factor * at.jvp(d),
            vjp=lambda w: at.vjp(self._factor * w),
        )


def inverted(seed: int, how: str, rows: dict[str, Any]) -> dict[str, Any]:
    """One data set by ``laplace``: the ends of its bands along the directions, and the misfit."""
    data, noise = measured(seed, rows)
    prior, chosen = problem("full").prior(), model("full" if how == "full" else "averaged")
    if how == "averaged with error":
        mean, covariance = error_of_averaged(rows)
        chosen = Corrected(chosen, 1.0 + mean)  # type: ignore[assignment]
        scale = np.outer(data, data)
        noise = Noise.from_covariance(np.diag(noise.std**2) + covariance * scale)
    posterior = Posterior(prior, chosen, data, noise)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        engine = Laplace(LaplaceConfig(draws=2000, starts=1, tolerance=1e-3))
        found = run(engine, lambda: posterior, Run(seed, Path(folder))).outcome
    xi = found.xi.reshape(-1, len(FACTORS)) @ spectrum()[1]
    best = np.asarray(found.groups["laplace"]["xi_map"]).ravel()
    return {
        "low": np.quantile(xi, BAND[0], axis=0).tolist(),
        "high": np.quantile(xi, BAND[1], axis=0).tolist(),
        "map": (best @ spectrum()[1]).tolist(),
        "misfit": float(posterior.misfit(best)),
        "solves": posterior.counters.n_forward,
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def observations(seed: int, rows: dict[str, Any]) -> Any:
    """A data set as an observation file."""
    data, noise = measured(seed, rows)
    own = problem("full")
    attrs = {
        "pdeinv_kind": "observations",
        "pdeinv_problem": own.name,
        "pdeinv_problem_config": dump_toml(own.config.model_dump(mode="json")),
    }
    return to_dataset(Observations(own.observed, data, places(), noise), attrs)


INVERSIONS = ("full", "averaged", "averaged with error")
ENGINES = ("map", "two-level", "two-level, near", "two-level, near, long")
SAMPLES = 300
"""Draws of the prior that the surrogate of ``two-level`` learns from."""
CLOSE, INFLATION = 200, 1.5
"""Samples that it learns from near the posterior, and how much wider than that they are."""
ROUGH = 60
"""Draws of the Laplace approximation that say where that is."""
WALK, LONG, MOVES = 200, 1000, 30
"""Draws of each of two chains near it, or of a long run, and moves on the surrogate between two."""


def by_map(obs: Any, folder: Path) -> tuple[Any, dict[str, int]]:
    """The most probable rates, and the evaluations of all conditions."""
    tree = pdeinv.invert(obs, engine="map", seed=1, starts=1, out=folder / "result.nc")
    return tree, {"map": counted(tree)}


def by_two_level(obs: Any, folder: Path) -> tuple[Any, dict[str, int]]:
    """Draws of the posterior, on Gaussian processes trained on draws of the prior."""
    pdeinv.generate(obs=folder / "obs.nc", n=SAMPLES, seed=2, out=folder / "data.nc")
    pdeinv.train_surrogate("gp", folder / "data.nc", seed=3, out=folder / "gp")
    tree = pdeinv.invert(
        obs, engine="two-level", seed=4, surrogate=folder / "gp", out=folder / "result.nc",
        chains=2, draws=60, warmup=10, searches=0,
    )  # fmt: skip
    return tree, {"surrogate": SAMPLES, "two-level": counted(tree)}


def near_two_level(obs: Any, folder: Path, draws: int = WALK) -> tuple[Any, dict[str, int]]:
    """Draws of the posterior, on Gaussian processes trained about its Laplace approximation."""
    near = pdeinv.invert(
        obs, engine="laplace", seed=1, starts=1, draws=ROUGH, tolerance=1e-3, out=folder / "near.nc"
    )
    pdeinv.generate(
        obs=folder / "obs.nc", n=CLOSE, around=folder / "near.nc", inflation=INFLATION, seed=2,
        out=folder / "data.nc",
    )  # fmt: skip
    pdeinv.train_surrogate("gp", folder / "data.nc", seed=3, out=folder / "gp")
    tree = pdeinv.invert(
        obs, engine="two-level", seed=4, surrogate=folder / "gp", out=folder / "result.nc",
        chains=2, draws=draws, warmup=10, searches=0, subchain=MOVES, correction_every=draws,
    )  # fmt: skip
    spent = {"laplace": counted(near), "surrogate": CLOSE, "two-level": counted(tree)}
    return tree, spent


BY = {
    "map": by_map,
    "two-level": by_two_level,
    "two-level, near": near_two_level,
    "two-level, near, long": partial(near_two_level, draws=LONG),
}


def counted(tree: Any) -> int:
    """Evaluations of all conditions by a run, those for its test and its predictions included.

    Derivatives are not in it: they take residuals of flames that are there.
    """
    return int(tree.attrs["pdeinv_n_forward"])


def engine(name: str, rows: dict[str, Any]) -> dict[str, Any]:
    """An engine on the first data set: evaluations, predicted speeds beside the data."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        folder, obs = Path(place), observations(0, rows)
        netcdf.write(folder / "obs.nc", obs)
        tree, evaluations = BY[name](obs, folder)
    return row_of(tree, evaluations) | {"cpu_seconds": round(time.process_time() - began, 1)}


def row_of(tree: Any, evaluations: dict[str, int]) -> dict[str, Any]:
    """What a result predicts, its bands along the directions, and its verdict."""
    predicted = tree["posterior_predictive"]["flame_data_noise_free"].values
    flat = predicted.reshape(-1, predicted.shape[-1])
    m = np.stack([np.ravel(v.values) for v in tree["posterior"].data_vars.values()], axis=1)
    stds = np.log10(list(FACTORS.values())) / 2
    xi = m / stds @ spectrum()[1]
    return {
        "evaluations": evaluations,
        "mean": flat.mean(axis=0).tolist(),
        "sd": flat.std(axis=0).tolist(),
        "low": np.quantile(xi, BAND[0], axis=0).tolist(),
        "high": np.quantile(xi, BAND[1], axis=0).tolist(),
        "message": str(tree.attrs.get("pdeinv_message", "")),
    }


def covered(rows: dict[str, Any], how: str, count: int) -> tuple[int, int, Array]:
    """Bands that hold their truth, of how many, and z of the estimates, along active directions."""
    held, z = [], []
    for seed, row in rows.items():
        if not seed.isdigit() or how not in row:
            continue
        right = truth(int(seed)) @ spectrum()[1]
        one = {k: np.array(row[how][k])[:count] for k in ("low", "high", "map")}
        held.append((one["low"] <= right[:count]) & (right[:count] <= one["high"]))
        sd = (one["high"] - one["low"]) / 3.29
        z.append((one["map"] - right[:count]) / sd)
    return int(np.sum(held)), int(np.size(held)), np.array(z)


def summary(rows: dict[str, Any]) -> str:
    """Spectrum, coverage of each inversion, engines beside the data."""
    values, directions = spectrum()
    count = int((values > ACTIVE).sum())
    names = list(FACTORS)
    lines = ["| eigenvalue | direction |", "|---|---|"]
    for value, column in zip(values, directions.T, strict=True):
        told = [f"{column[i]:+.2f} {names[i]}" for i in np.argsort(-np.abs(column))[:3]]
        lines.append(f"| {value:.3g} | {', '.join(told)} |")
    lines += ["", "| inversion | data sets | bands that cover | rms z | misfit/datum | CPU s |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for how in INVERSIONS:
        own = [r[how] for s, r in rows.items() if s.isdigit() and how in r]
        if not own:
            continue
        hits, of, z = covered(rows, how, count)
        rms = ", ".join(f"{v:.2f}" for v in np.sqrt(np.mean(z**2, axis=0)))
        misfit = np.median([r["misfit"] for r in own]) / len(CONDITIONS)
        seconds = np.median([r["cpu_seconds"] for r in own])
        share = f"{hits}/{of} = {hits / of:.3f}"
        lines.append(f"| {how} | {len(own)} | {share} | {rms} | {misfit:.2f} | {seconds:.0f} |")
    for name in ENGINES:
        if name in rows:
            lines += ["", *beside(name, rows)]
    return "\n".join(lines)


def beside(name: str, rows: dict[str, Any]) -> list[str]:
    """Predicted speeds of an engine beside the data."""
    row, data = rows[name], measured(0, rows)[0]
    lines = [
        f"{name}: {row['evaluations']}, {row['cpu_seconds']} s of CPU, {row['message']}",
        "| p, atm | T_in, K | phi | exact | data | predicted |",
        "|---|---|---|---|---|---|",
    ]
    cells = zip(CONDITIONS, exact(0, rows), data, row["mean"], row["sd"], strict=True)
    return lines + [
        f"| {p / ATM:g} | {t:g} | {phi} | {e:.3f} | {d:.3f} | {mean:.3f} ± {sd:.3f} |"
        for (p, t, phi), e, d, mean, sd in cells
    ]


def main() -> None:
    """Measure what is missing and print the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--averaged", type=int, default=20, help="so many by both models as well")
    options.add_argument("--without-two-level", action="store_true")
    given = options.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}

    def keep(text: str) -> None:
        print(text, flush=True)
        write_text(RESULTS, json.dumps(rows, indent=1) + "\n")

    for seed in range(given.seeds):
        for how in INVERSIONS if seed < given.averaged else INVERSIONS[:1]:
            row = rows.setdefault(str(seed), {})
            if how not in row:
                row[how] = inverted(seed, how, rows)
                keep(f"{seed} {how} {row[how]['cpu_seconds']} s, {row[how]['solves']} solves")
    for name in ("map",) if given.without_two_level else ENGINES:
        if name not in rows:
            rows[name] = engine(name, rows)
            keep(f"{name} {rows[name]['evaluations']} {rows[name]['cpu_seconds']} s")
    print(summary(rows))


if __name__ == "__main__":
    main()
