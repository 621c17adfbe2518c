"""Does the truth lie in the 95 % band? Every engine on the shipped heat and Helmholtz data.

    python benchmarks/coverage.py                       # both; about 15 minutes of CPU
    python benchmarks/coverage.py heat --quick          # about a minute
    python benchmarks/coverage.py heat --engines laplace two-level

Each engine is run by the commands that a user would type, on `examples/NAME/obs.nc`, whose data
come from a mesh twice as fine as the inversion's. Of a posterior: the share of the places of the
unknown where `truth.nc` lies between the pointwise 2.5 % and 97.5 % quantiles, and what the chains
say of themselves. Of a point: its relative error. `two-level` gets a surrogate that
`train-surrogate` made from `generate --around` the Laplace approximation; solves and CPU seconds
are those of all commands.

The field is correlated, so that one data set's share scatters by far more than its 1089 places
suggest. The replicates draw other truths from the prior, with other noise, and give the mean share,
which a right posterior holds at 95 %, and its standard error over data sets.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xarray as xr

from pdeinv.config import read_toml
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.jobs.observe import choose_unknown, make_observations, make_truth
from pdeinv.plugins.recipe import make_problem

ROOT = Path(__file__).parents[1]
SENSORS = {"heat": ("grid:6@0.1:1:8", 0.03), "helmholtz": ("ring:16", 0.02)}
"""Sensors and relative noise of the shipped data; `examples/NAME/problem.toml` names both."""

TRAIN = (
    "invert OBS --engine laplace --seed 1 --out laplace.nc",
    "generate --obs OBS --around laplace.nc --n PAIRS --seed 2 --out pairs.nc",
    "train-surrogate latent --data pairs.nc --seed 3 --out latent",
)
ENGINES = {
    "map": ("invert OBS --engine map --seed 1 --out map.nc",),
    "laplace": ("invert OBS --engine laplace --seed 1 --out laplace.nc",),
    "eki": ("invert OBS --engine eki --seed 1 --out eki.nc",),
    "pcn": ("invert OBS --engine pcn --seed 1 --out pcn.nc LENGTH",),
    "pcn, laplace": (
        "invert OBS --engine pcn --set engine.proposal=laplace --set engine.thin=2 --draws 4000 "
        "--set engine.warmup=500 --seed 1 --out pcn-laplace.nc LENGTH",
    ),
    "two-level": (
        *TRAIN, "invert OBS --engine two-level --surrogate latent --seed 4 --out two-level.nc",
    ),
}  # fmt: skip
COUNTS = ("n_forward", "n_adjoint", "n_surrogate")


@dataclass(frozen=True)
class Bench:
    """A folder to work in and how much to do."""

    folder: Path
    quick: bool

    def words(self, line: str, obs: Path) -> list[str]:
        """The command line with its place holders filled in."""
        short = "--set engine.warmup=200 --draws 800" if self.quick else ""
        values = {"OBS": str(obs), "PAIRS": "200" if self.quick else "300", "LENGTH": short}
        return [w for part in line.split() for w in values.get(part, part).split()]

    def pdeinv(self, line: str, obs: Path) -> tuple[Path, float]:
        """Run a command; what it wrote and the CPU seconds it took."""
        words = self.words(line, obs)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "pdeinv", *words, "--quiet", "--overwrite"]
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            command, cwd=self.folder, env={**os.environ, **single},
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return self.folder / words[words.index("--out") + 1], spent


def share_inside(result: xr.DataTree, truth: xr.Dataset) -> float:
    """How much of the truth lies between the pointwise 2.5 % and 97.5 % quantiles."""
    inside = []
    for name in truth.data_vars:
        values = truth[name].values
        draws = result["posterior"][name].values.reshape(-1, *values.shape)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        inside.append(((low <= values) & (values <= high)).ravel())
    return float(np.mean(np.concatenate(inside)))


def relative_error(result: xr.DataTree, truth: xr.Dataset) -> float:
    """‖mean - truth‖ / ‖truth‖ over the places of the unknown."""
    off = sum(
        float(np.sum((result["estimates"][f"{n}_mean"].values - truth[n].values) ** 2))
        for n in truth.data_vars
    )
    return float(np.sqrt(off / sum(float(np.sum(truth[n].values ** 2)) for n in truth.data_vars)))


def row(bench: Bench, example: Path, engine: str) -> dict[str, object]:
    """What one engine finds on the shipped data, and what it spends."""
    truth = netcdf.read_tree(example / "truth.nc")["unknown"].to_dataset()
    spent, totals = 0.0, dict.fromkeys(COUNTS, 0)
    for line in ENGINES[engine]:
        out, seconds = bench.pdeinv(line, example / "obs.nc")
        spent += seconds
        if line.startswith("invert"):
            result = netcdf.read_tree(out)
            for name in COUNTS:
                totals[name] += int(result.attrs[f"pdeinv_{name}"])
        if line.startswith("generate"):
            totals["n_forward"] += 200 if bench.quick else 300
    summary = json.loads(result.attrs["pdeinv_summary"])
    point = result.attrs["pdeinv_produces"] == "point"
    kept = ("r_hat", "ess_bulk", "ess_tail", "acceptance_rate", "sd_misfit_difference")
    return {
        "engine": engine,
        "inside": None if point else share_inside(result, truth),
        "relative_error": relative_error(result, truth),
        "converged": bool(result.attrs["pdeinv_converged"]),
        **{k: summary[k] for k in kept if k in summary},
        **totals,
        "cpu_seconds": round(spent, 1),
        "commands": [" ".join(bench.words(line, Path("obs.nc"))) for line in ENGINES[engine]],
    }


REPLICATED = {
    "laplace": {"name": "laplace"},
    "pcn, laplace": {
        "name": "pcn", "proposal": "laplace", "chains": 2, "warmup": 300, "draws": 1500, "thin": 3,
    },
}  # fmt: skip


def replicate(problem: str, seed: int, names: list[str], folder: Path) -> dict[str, object]:
    """Another truth and other noise: the shares of the named engines."""
    physics = make_problem(problem, _config(problem))
    m = choose_unknown(physics.prior(), "prior-draw", seed)
    netcdf.write(folder / "truth.nc", make_truth(physics, m, seed=seed))
    sensors, noise = SENSORS[problem]
    data = make_observations(folder / "truth.nc", sensors, NoiseSpec(None, noise), seed=seed + 1)
    netcdf.write(folder / "obs.nc", data)
    truth = netcdf.read_tree(folder / "truth.nc")["unknown"].to_dataset()
    found: dict[str, object] = {"seed": seed}
    for name in names:
        tables = {"seed": seed + 2, "engine": REPLICATED[name]}
        inversion = Inversion.resolve(tables, folder / "obs.nc")
        result = invert(inversion, folder / "result.nc", overwrite=True)
        found[name] = share_inside(result, truth)
        found[f"{name}: converged"] = bool(result.attrs["pdeinv_converged"])
    return found


def _config(problem: str) -> dict[str, object]:
    tables = read_toml(ROOT / "examples" / problem / "problem.toml")
    return {k: v for k, v in tables["problem"].items() if k != "name"}


def replicates(problem: str, n: int, folder: Path, stored: dict[int, dict]) -> dict[str, object]:
    """Means over data sets with their standard errors; every fifth is sampled as well."""
    rows = []
    for seed in range(1000, 1000 + 10 * n, 10):
        names = list(REPLICATED) if seed % 50 == 0 else ["laplace"]
        rows.append(stored.get(seed) or replicate(problem, seed, names, folder))
        print(problem, rows[-1], flush=True)
    means = {}
    for name in REPLICATED:
        shares = np.array([r[name] for r in rows if name in r], dtype=float)
        means[name] = {
            "data_sets": len(shares),
            "mean": float(shares.mean()),
            "standard_error": float(shares.std(ddof=1) / np.sqrt(len(shares))),
            "smallest": float(shares.min()),
            "converged": sum(bool(r.get(f"{name}: converged")) for r in rows),
        }
        print(problem, name, means[name], flush=True)
    return {"data_sets": n, "means": means, "rows": rows}


def measure(problem: str, engines: list[str], options: argparse.Namespace) -> dict[str, object]:
    """The rows of one problem; those of engines that were not asked for stay as they were."""
    example = ROOT / "examples" / problem
    level = int(netcdf.read_dataset(example / "obs.nc").attrs["pdeinv_level"])
    assert level > 0, f"{example}/obs.nc was made on the mesh of the inversion"
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    old = {} if options.quick else before.get(problem, {})
    rows = {r["engine"]: r for r in old.get("rows", [])}
    with TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.quick)
        for engine in engines:
            rows[engine] = row(bench, example, engine)
            shown = {k: v for k, v in rows[engine].items() if k != "commands"}
            print(problem, shown, flush=True)
        n, again = options.replicates, old.get("replicates")
        if n > 1:
            stored = {r["seed"]: r for r in (again or {}).get("rows", [])}
            again = replicates(problem, n, Path(scratch), stored)
    ordered = [rows[name] for name in ENGINES if name in rows]
    return {"data_level": level, "quick": options.quick, "rows": ordered, "replicates": again}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", nargs="?", choices=sorted(SENSORS), help="default: both")
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--quick", action="store_true", help="short chains, few replicates")
    parser.add_argument("--replicates", type=int, help="other data sets; stored ones stay")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.json"))
    options = parser.parse_args()
    if options.replicates is None:
        options.replicates = 10 if options.quick else 60
    if options.quick and options.out == parser.get_default("out"):
        options.out = options.out.with_stem("coverage-quick")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for problem in [options.problem] if options.problem else sorted(SENSORS):
        found = measure(problem, options.engines, options)
        stored = json.loads(options.out.read_text()) if options.out.exists() else {}
        options.out.write_text(json.dumps({**stored, problem: found}, indent=1))


if __name__ == "__main__":
    main()
