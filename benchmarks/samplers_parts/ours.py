"""Runs of pdeinv's engines, timed; also by another checkout, which may lack hmc."""

import time
from dataclasses import replace
from importlib import import_module

import numpy as np

from pdeinv.bayes.posterior import Counters, WhitenedModel
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.model.forward import Capability
from samplers_parts.judged import row

ENGINES = {
    "hmc": ("pdeinv.engines.mcmc.hmc", "Hmc", {}),
    "pcn": ("pdeinv.engines.mcmc.pcn", "Pcn", {"proposal": "laplace", "thin": 5}),
    "two-level": ("pdeinv.engines.mcmc.two_level", "TwoLevel", {}),
}


class WithoutRows:
    """A model that answers one unknown at a time."""

    def __init__(self, model):
        self.model = model
        self.capabilities = model.capabilities - {Capability.ROWS}

    def __call__(self, m):
        return self.model(m)

    def linearize(self, m):
        return self.model.linearize(m)

    def __getattr__(self, name):
        return getattr(self.model, name)


def without_rows(posterior):
    model = posterior.model
    return replace(posterior, model=WhitenedModel(model.prior, WithoutRows(model.model)))


def engine(name, times, **options):
    """The engine, which notes the CPU time at which each chain ends its warm-up."""
    module, kind, more = ENGINES[name]
    if name == "two-level":  # its means are not asked for
        more = {"correction_every": options["draws"]}
    module = import_module(module)

    class Timed(getattr(module, kind)):
        def record(self, state, step):
            if step == self.config.warmup:
                times.append(time.process_time())
            return super().record(state, step)

    return Timed(getattr(module, f"{kind}Config")(**more, **options))


def pace(posterior, report, draws):
    """Options of two-level that a run of so many draws fills in; none of another checkout."""
    try:
        cost = import_module("pdeinv.jobs.two_level.cost")
    except ImportError:
        return {}
    figures = report.figures
    quality = cost.Quality(figures["sd_misfit_difference_heldout"], figures["explorers_iact"])
    found = cost.paced(cost.measured(posterior, report.points), quality, draws, draws)
    return {"subchain": found.subchain, "near": found.near}


def sampled(name, posterior, length, chains, seed, folder, **more):
    """Draws, CPU seconds of warm-up and of all, and what the run says of itself.

    Chains that run together end their warm-up one by one; the mean of these times counts.
    """
    times, began = [], time.process_time()
    options = {"chains": chains, "warmup": length[0], "draws": length[1], **more}
    timed = engine(name, times, **options)
    found = run(timed, lambda: posterior, Run(seed, folder / f"{name}-{chains}-{seed}"))
    total = time.process_time() - began
    return found, float(np.mean(times)) - began, total


def work(counters):
    return {"solves": counters.n_forward, "gradients": counters.n_adjoint}


def together(name, label, posterior, length, chains, seed, folder):
    """Chains of one process, whose solves are made together."""
    found, warm, total = sampled(name, posterior, length, chains, seed, folder)
    accepted = found.outcome.summary["acceptance_rate"]
    more = {"acceptance": accepted, **work(found.counters)}
    return row(label, found.outcome.xi, warm, total, **more)


def one_by_one(name, label, posterior, length, chains, seed, folder):
    """The same number of chains, each in a run of its own."""
    runs = [
        sampled(name, posterior, length, 1, 100 * (seed + 1) + k, folder / label)
        for k in range(chains)
    ]
    xi = np.concatenate([found.outcome.xi for found, _, _ in runs])
    spent = Counters()
    for found, _, _ in runs:
        spent.add(found.counters)
    accepted = np.mean([found.outcome.summary["acceptance_rate"] for found, _, _ in runs])
    warm, total = (float(sum(r[k] for r in runs)) for k in (1, 2))
    return row(label, xi, warm, total, acceptance=float(accepted), **work(spent))


def trained(case, seed, folder):
    """The report of a surrogate for two-level, and the CPU seconds of its training."""
    train = import_module("pdeinv.jobs.two_level.train")
    try:
        kinds = import_module("pdeinv.jobs.two_level.rounds")
    except ImportError:  # another checkout
        kinds = train
    began = time.process_time()
    rounds = kinds.Rounds(case.problem, case.observations(), kinds.RoundsConfig(), seed)
    report = train.train_in_rounds(rounds, folder / f"train{seed}", lambda *_: None)
    return report, time.process_time() - began


def of_checkout(name, label, case, length, chains, seed, folder):
    """One run of pcn or two-level, the training of its surrogate counted with the warm-up."""
    spent, seconds, posterior, options = Counters(), 0.0, case.posterior(), {}
    if name == "two-level":
        report, seconds = trained(case, seed, folder)
        spent.add(report.counters)
        seen = getattr(report, "seen", None)  # another checkout
        posterior = case.posterior(report.folder, **({} if seen is None else {"seen": seen}))
        options = pace(posterior, report, chains * length[1])
    found, warm, total = sampled(name, posterior, length, chains, seed, folder, **options)
    spent.add(found.counters)
    more = {"acceptance": found.outcome.summary["acceptance_rate"], **work(spent), **options}
    return row(label, found.outcome.xi, warm + seconds, total + seconds, **more)
