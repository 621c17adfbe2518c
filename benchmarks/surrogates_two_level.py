"""What may drive two-level sampling: every surrogate, trained at prior draws or near the posterior.

    python benchmarks/surrogates_two_level.py            # about 30 minutes of CPU
    python benchmarks/surrogates_two_level.py --quick    # about 8 minutes: less of everything
    python benchmarks/surrogates_two_level.py --cases eit --surrogates gp,coarse

Cases: `darcy`, the one of `two_level_darcy.py` (49 unknowns, 144 data, noise 2 % of the peak);
`eit`, a disc with 16 electrodes, adjacent currents and voltages, ln σ a Gaussian field of 20 modes
with standard deviation 1, 208 data, noise 0.5 % of the peak. Data are from a mesh twice as fine.

Training sets: n draws of the prior, or n draws of the Laplace approximation of the fine posterior,
its standard deviations widened 1.5 times, as `generate --around` draws them. `two-level` is what
that engine trains by itself, in rounds on draws of its own surrogate's posterior.

Columns, on draws of the fine posterior (Hamiltonian chains on the fine model, which see no
surrogate): the rms error over σ, and the standard deviation of Φ_fine - Φ_surrogate. On draws of
the surrogate's own posterior: the same deviation, which is what the admission test sees. The
acceptance rate of delayed acceptance is its expectation for independent proposals,
E min(1, exp(δ(u) - δ(v))) with δ = Φ_fine - Φ_surrogate, u from the fine and v from the surrogate
posterior; for what passes the admission test (deviation at most 4) it is measured in a two-level
run as well, where subchains are short and moves stay near. Fine solves are those of the training,
the search for the MAP point included; tangents stand beside them. Test solves do not count: they
serve the table alone.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import two_level_darcy

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.surrogate_limits import REJECT_SD
from pdeinv.engines.gaussian.approximation import laplace_at_map
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import PdeinvError
from pdeinv.executors import process_pool
from pdeinv.executors.devices import import_torch
from pdeinv.io import datasets
from pdeinv.io.observations import Observations
from pdeinv.jobs.generate.plan import Around, Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.two_level.rounds import Rounds, RoundsConfig
from pdeinv.jobs.two_level.train import train_in_rounds
from pdeinv.model.rows import evaluate
from pdeinv.plugins import registry
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.provenance import Source, versions
from pdeinv.rng import stream

EIT = {"cells": 24, "unknown": {"kind": "log-gaussian", "std": 1.0, "length": 0.6, "modes": 20}}
SEED = 20
INFLATION = 1.5
MOST_EPOCHS = 1000
GRIDS = {"darcy": (29, 29)}
"""Where an operator learns fields; elsewhere it learns the data from the coefficient."""
OPTIONS = {"fno": {"darcy": {}, "eit": {"grid": 25}}}
NAMES = ("coarse", "multifidelity", "two-level", "latent", "latent+J", "gp", "fno")
REGIONS = {"coarse": ("",), "two-level": ("rounds",)}
"""Where a surrogate is trained, if not at prior draws and near the posterior."""


def darcy_case():
    return (*two_level_darcy.case(), two_level_darcy.CONFIG)


def eit_case():
    problem = make_problem("eit", EIT)
    sensors = problem.sensors("all")
    truth = problem.prior().unwhiten(stream(SEED, "truth").standard_normal(problem.prior().dim))
    clean = problem.forward_model(sensors, 1)(truth)
    noise = Noise(np.full(len(clean), 0.005 * np.abs(clean).max()))
    values = clean + noise.sample(stream(SEED, "noise"))
    return problem, Observations(problem.observed, values, sensors, noise), EIT


CASES = {"darcy": darcy_case, "eit": eit_case}


@dataclass(frozen=True)
class Setting:
    """A case with draws of its fine posterior and the training sets, with what those cost."""

    name: str
    problem: object
    data: Observations
    recipe: PosteriorRecipe
    draws: np.ndarray
    fine: np.ndarray
    sets: dict
    spent: dict
    scratch: Path


def chain(job):
    """Hamiltonian moves on the fine model; the first fifth is left out."""
    recipe, moves, seed = job
    posterior, rng = recipe(), stream(seed, "reference")
    tuned = drive(posterior, tune(posterior, 200, rng))
    xi = [place.xi for place in drive(posterior, tuned.kernel.trail(tuned.place, moves, rng))]
    return np.asarray(xi[moves // 5 :])


def prepare(name, options, scratch, pool):
    problem, data, config = CASES[name]()
    recipe = PosteriorRecipe(name, config, data.coords, data.values, data.noise)
    chains = np.stack(list(pool.map(chain, [(recipe, options.moves, 30 + k) for k in range(4)])))
    found = summary(chains)
    facts = {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "kept_moves": chains[..., 0].size}
    every = np.linspace(0, chains[..., 0].size - 1, options.test).astype(int)
    draws = chains.reshape(-1, chains.shape[-1])[every]
    fine = recipe()
    facts["misfit"] = float(np.mean(fine.misfit(draws)))
    print(name, "reference", facts, flush=True)
    around, cost = about_the_map(recipe)
    plan = Plan(
        name, problem.config.model_dump(mode="json"), data.coords, options.n, SEED,
        grid=GRIDS.get(name), jacobian=options.probes,
    )  # fmt: skip
    sets, spent = {}, {}
    for region, design in (("prior", None), ("posterior", around)):
        file = scratch / f"{name}-{region}.nc"
        generate(replace(plan, design=design), file, file.with_suffix(".run"), workers=2)
        sets[region] = datasets.read(file)
        spent[region] = {"fine_solves": options.n, "tangents": options.n * options.probes}
    spent["posterior"] = {
        "fine_solves": options.n + cost.n_forward,
        "tangents": options.n * options.probes + cost.n_tangent,
        "adjoints": cost.n_adjoint,
    }
    found = Setting(name, problem, data, recipe, draws, fine.predict(draws), sets, spent, scratch)
    return found, facts


def about_the_map(recipe):
    """The widened Laplace approximation of the fine posterior, and what it cost."""
    posterior = recipe()
    found = drive(posterior, laplace_at_map(posterior, stream(SEED, "laplace")))
    root = found.root(np.eye(posterior.dim))
    return Around(found.mean, root, INFLATION, Source("laplace", "")), posterior.counters


def fitted(kind, setting, dataset, table, limit):
    """A surrogate trained within ``limit`` CPU seconds, and the seconds it took."""
    how = FitRun(noise_std=setting.data.noise.std)

    def fit(**more):
        start = time.process_time()
        config = kind.Config(**table, **more)
        return kind.fit(dataset, setting.problem, config, SEED, how), time.process_time() - start

    if "epochs" not in kind.Config.model_fields:
        return fit()
    fit(epochs=1)
    once, more = fit(epochs=1)[1], fit(epochs=4)[1]
    each = max((more - once) / 3, 1e-4)
    return fit(epochs=int(np.clip((limit - once) / each, 2, MOST_EPOCHS)))


def trained(setting, name, region, options):
    """Folder of the surrogate, what it cost, and facts of the training."""
    folder = setting.scratch / f"{setting.name}-{name}-{region}"
    if name == "two-level":
        rounds = Rounds(setting.problem, setting.data, RoundsConfig(target_sd=0.5), SEED)
        start = time.process_time()
        found = train_in_rounds(rounds, folder, lambda *_: None)
        c = found.counters
        spent = {"fine_solves": c.n_forward, "tangents": c.n_tangent, "adjoints": c.n_adjoint}
        return found.folder, spent, {"training_seconds": time.process_time() - start}
    base, _, informed = name.partition("+")
    dataset, spent = setting.sets[region], dict(setting.spent[region])
    if not informed:
        searched = spent["tangents"] - dataset.size * options.probes
        dataset, spent["tangents"] = replace(dataset, probes=None, actions=None), searched
    table = OPTIONS.get(base, {}).get(setting.name, {})
    kind = registry.load("surrogates", base)
    surrogate, seconds = fitted(kind, setting, dataset, table, options.seconds)
    folder.mkdir()
    surrogate.save(folder)
    facts = {k: v for k, v in surrogate.metadata["extra"].items() if k in ("epochs", "stage")}
    return folder, spent, {"training_seconds": seconds, **facts}


def deltas(cheap, fine_values, xis):
    """Φ_fine - Φ_cheap."""
    return cheap.misfit_of(fine_values) - cheap.misfit(xis)


def acceptance(delta_fine, delta_own):
    """E min(1, exp(δ(u) - δ(v))) over all pairs."""
    log_ratio = delta_fine[:, None] - delta_own[None, :]
    return float(np.mean(np.exp(np.minimum(log_ratio, 0.0))))


def measured(setting, folder, options):
    """The acceptance rate of a two-level run."""
    config = TwoLevelConfig(
        draws=options.steps, warmup=5, chains=2, tuning=200, correction_every=options.steps
    )
    where = setting.scratch / f"{folder.parent.name}-{folder.name}-run"
    result = run(
        TwoLevel(config), replace(setting.recipe, surrogate=folder), Run(SEED, where, workers=2)
    )
    return float(result.outcome.summary["acceptance_rate"])


def judged(setting, model, options):
    """The figures of one cheap model."""
    noise, data = setting.data.noise, setting.data.values
    cheap = Posterior(setting.problem.prior(), model, data, noise)
    values = evaluate(model, setting.draws).values
    rms = float(np.sqrt(np.mean(noise.whiten(values - setting.fine) ** 2)))
    at_fine = deltas(cheap, setting.fine, setting.draws)
    rng = stream(SEED, "own")
    tuned = drive(cheap, tune(cheap, options.tuning, rng))
    own, place = [], tuned.place
    for _ in range(options.own):
        place = drive(cheap, tuned.kernel.trail(place, 4, rng))[-1]
        own.append(place.xi)
    own = np.asarray(own)
    at_own = deltas(cheap, setting.recipe().predict(own), own)
    return {
        "rms_over_sigma": rms,
        "sd": float(np.std(at_fine, ddof=1)),
        "sd_own": float(np.std(at_own, ddof=1)),
        "acceptance_expected": acceptance(at_fine, at_own),
    }


def cell(setting, name, region, options):
    prior = setting.problem.prior()
    try:
        if name == "coarse":
            inner = setting.problem.forward_model(setting.data.coords, -1)
            found = judged(setting, WhitenedModel(prior, inner), options)
            return {**found, "fine_solves": 0, "training_seconds": 0.0}
        folder, spent, facts = trained(setting, name, region, options)
        surrogate = registry.load("surrogates", folder_name(folder)).load(folder)
        model = surrogate.bind(setting.problem, prior, setting.data.coords)
        row = {**judged(setting, model, options), **spent, **facts}
        if row["sd_own"] <= REJECT_SD:
            row["acceptance_measured"] = measured(setting, folder, options)
    except PdeinvError as error:
        return {"refused": str(error)}
    return row


def folder_name(folder):
    """The registered name of what is stored there."""
    return json.loads((folder / "metadata.json").read_text())["surrogate"]


def table(rows):
    """The cells in Markdown."""
    lines = [
        "| case | surrogate | trained at | fine solves | rms/σ | sd | sd, own draws "
        "| acceptance, independent | acceptance, measured |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    refused = {}
    for r in rows:
        if "refused" in r:
            refused[r["case"], r["surrogate"]] = r["refused"]
            continue
        share = r.get("acceptance_measured")
        last = "" if share is None else f"{share:.0%}"
        lines.append(
            f"| {r['case']} | `{r['surrogate']}` | {r['region']} | {r['fine_solves']} "
            f"| {r['rms_over_sigma']:.2g} | {r['sd']:.2g} | {r['sd_own']:.2g} "
            f"| {r['acceptance_expected']:.0%} | {last} |"
        )
    return "\n".join([*lines, "", *(f"- {c}, `{s}`: {t}" for (c, s), t in refused.items())])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="n 300, 15 s, shorter chains")
    parser.add_argument("--cases", default=",".join(CASES), help="names, comma between")
    parser.add_argument("--surrogates", default=",".join(NAMES), help="likewise")
    parser.add_argument("--n", type=int, default=1000, help="samples of a training set")
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU time of one training")
    parser.add_argument("--probes", type=int, default=8, help="Jacobian actions of a sample")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    options.moves, options.test, options.own, options.tuning, options.steps = (
        1000, 200, 60, 200, 100
    )  # fmt: skip
    if options.quick:
        options.n, options.seconds = 300, 15.0
        options.moves, options.test, options.own, options.tuning = 300, 100, 40, 100
        options.steps = 40
    name = "surrogates_two_level_quick" if options.quick else "surrogates_two_level"
    options.out = options.out or Path(f"benchmarks/results/{name}.json")
    return options


def store(options, setting, facts, row):
    """Replace the row in the result file; the others stay."""
    found = {"rows": [], "references": {}}
    if options.out.exists():
        found = json.loads(options.out.read_text())
    key = ("case", "surrogate", "region")
    rows = [r for r in found["rows"] if any(r[k] != row[k] for k in key)] + [row]
    order = {n: i for i, n in enumerate(NAMES)}
    rows.sort(key=lambda r: (r["case"], order[r["surrogate"]], r["region"] != "prior"))
    references = {**found["references"], setting.name: facts}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = {"versions": versions(), "references": references, "rows": rows}
    options.out.write_text(json.dumps(text, indent=1) + "\n")
    return rows


def main() -> None:
    options = arguments()
    import_torch().set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    with TemporaryDirectory() as scratch, process_pool(2, int) as pool:
        for case in options.cases.split(","):
            setting, facts = prepare(case, options, Path(scratch), pool)
            for name in options.surrogates.split(","):
                for region in REGIONS.get(name, ("prior", "posterior")):
                    row = cell(setting, name, region, options)
                    row = {"case": case, "surrogate": name, "region": region, **row}
                    print(row, flush=True)
                    rows = store(options, setting, facts, row)
    print(table(rows))


if __name__ == "__main__":
    main()
