"""A whole run of an engine: its chains, in this process or in others, and what they found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.bayes.fit import misfit_text
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Chain, Engine, Outcome, check_posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.progress import Progress, silent
from pdeinv.engines.run.chain import done, state_type
from pdeinv.engines.run.checkpoint import ChainStore
from pdeinv.engines.run.folder import claimed
from pdeinv.engines.run.pool import run_in_workers
from pdeinv.engines.run.spec import Run
from pdeinv.engines.run.together import run_chains
from pdeinv.errors import BudgetSpent, Preempted
from pdeinv.rng import stream

__all__ = ["RunResult", "run"]

OF_ITSELF = (Ended.COLLAPSED, Ended.RUNNING)
"""Ends after which a misfit may be too large for that reason alone, or for another one as well."""


@dataclass(frozen=True)
class RunResult:
    """An engine's outcome with what it cost; ``exhausted`` where the budget ended a chain.

    ``seconds`` and ``cpu_seconds`` add up the chains.
    """

    outcome: Outcome
    counters: Counters
    seconds: float
    cpu_seconds: float
    exhausted: bool


def run(
    engine: Engine[Any],
    build: Callable[[], Posterior],
    spec: Run,
    progress: Progress | None = None,
) -> RunResult:
    """Run all chains of ``engine`` and finalize; the file ``STOP`` in the folder ends it early.

    Args:
        engine: what to run.
        build: makes the posterior; with several workers it is pickled and called once in each.
        spec: how to run.
        progress: told how far each chain is.

    Raises:
        BudgetSpent: the budget ended a chain before it began.
        CapabilityError: the posterior lacks what the engine requires.
        ConfigError: the checkpoints belong to another run, or another run is writing them.
        DataSchemaError: a checkpoint is damaged.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: too many failed solves, or a worker died.
    """
    posterior = build()
    check_posterior(engine, posterior)
    with claimed(engine, spec):
        while True:
            partial = _advanced(engine, posterior, build, spec, progress or silent)
            found = _finalized(engine, posterior, spec, partial)
            longer = None if partial else engine.extended(found.outcome)
            if longer is None:
                return found
            engine = longer


def _advanced(
    engine: Engine[Any],
    posterior: Posterior,
    build: Callable[[], Posterior],
    spec: Run,
    progress: Progress,
) -> bool:
    """Run the chains from where they are; whether the budget cut one short.

    Raises:
        BudgetSpent: the budget ended a chain before it began.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: too many failed solves, or a worker died.
    """
    if spec.workers > 1 and engine.n_chains > 1:
        run_in_workers(engine, posterior, build, spec, progress)
    else:
        run_chains(engine, posterior, spec, _ks(engine), progress)
    points = [ChainStore(spec.folder, k).load(state_type(engine)) for k in _ks(engine)]
    partial = any(p is None or not done(engine, p.state, p.step) for p in points)
    if partial and spec.stop_file.exists():
        raise Preempted(_stopped(spec, begun=any(p is not None for p in points)))
    if any(p is None for p in points):
        raise BudgetSpent(f"a chain was stopped before its first step; {Ended.BUDGET.advice}")
    return partial


def _stopped(spec: Run, *, begun: bool) -> str:
    """What to say of a stop; while every chain still looks for its start there is no state."""
    if begun:
        return f"stopped and saved in {spec.stop_file.parent}; continue with --resume"
    return (
        "stopped before any chain had found its start; continue with --resume, which looks for "
        "that anew"
    )


def _ks(engine: Engine[Any]) -> range:
    return range(engine.n_chains)


def _finalized(engine: Engine[Any], posterior: Posterior, spec: Run, partial: bool) -> RunResult:
    """The outcome of all chains; where the budget cut one short it is not converged."""
    chains = [_chain(engine, spec, k) for k in _ks(engine)]
    total = Counters()
    posterior.charge(total)
    outcome = engine.finalize(posterior, chains, stream(spec.seed, "finalize"))
    for chain in chains:
        total.add(chain.counters)
    if partial:
        message = Ended.BUDGET.sentence(f"{Ended.BUDGET.words}; {outcome.message}")
        outcome = replace(outcome, ended=Ended.BUDGET, message=message)
    outcome = _explained(outcome, posterior)
    seconds, cpu = sum(c.seconds for c in chains), sum(c.cpu_seconds for c in chains)
    return RunResult(outcome, total, seconds, cpu, partial)


def _explained(outcome: Outcome, posterior: Posterior) -> Outcome:
    """Not converged where the mean misfit of its draws is larger than noise makes it."""
    silent = outcome.ended in OF_ITSELF and "misfit" not in outcome.message
    if not (outcome.ended.settled or silent) or posterior.n_data == 0:
        return outcome
    misfit = float(np.mean(outcome.stats["misfit"]))
    limit = posterior.likelihood.largest_misfit(
        lambda: posterior.predict(outcome.xi[0, -1]), outcome.noise_factor
    )
    if misfit <= limit:
        return outcome
    found = misfit_text(misfit, posterior.n_data, limit)
    if silent:
        also = f"{outcome.message}; {found}: for that reason, or of wrong data, units or model"
        return replace(outcome, message=also)
    why = outcome.missed.sentence(found)
    said = "" if outcome.ended is Ended.DRAWN else f"; {outcome.message}"
    return replace(outcome, ended=outcome.missed, message=f"{why}{said}")


def _chain(engine: Engine[Any], spec: Run, k: int) -> Chain:
    store = ChainStore(spec.folder, k)
    saved = store.load(state_type(engine))
    assert saved is not None
    records = store.records(saved.n_chunks)
    return Chain(saved.state, records, saved.counters, saved.spent.wall, saved.spent.cpu)
