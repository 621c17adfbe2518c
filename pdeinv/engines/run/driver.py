"""The one loop over an engine's steps: progress, checkpoints, budgets, stops, failed solves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Chain, Engine, Outcome, check_posterior
from pdeinv.engines.run.checkpoint import ChainStore, Saved
from pdeinv.engines.run.folder import claimed
from pdeinv.engines.run.pool import run_chains
from pdeinv.errors import Preempted, RunFailed
from pdeinv.rng import stream

__all__ = ["Budget", "Progress", "Run", "RunResult", "run", "run_chain"]

FAILED_SHARE = 0.5
"""A chain fails when more than this share of its solves failed (after 20 solves)."""

LOOK_SECONDS = 0.2
"""Time between two looks at the stop file, each with a report of progress."""


class Progress(Protocol):
    """Told now and then how far each chain is."""

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        """Chain ``chain`` has done ``step`` of ``n_steps``."""


def _silent(chain: int, step: int, n_steps: int, note: str) -> None:
    """No progress."""


@dataclass(frozen=True)
class Budget:
    """What one chain may spend; None means no limit."""

    n_forward: int | None = None
    seconds: float | None = None

    def spent(self, counters: Counters, seconds: float) -> bool:
        """Whether a limit is reached."""
        over_solves = self.n_forward is not None and counters.n_forward >= self.n_forward
        return over_solves or (self.seconds is not None and seconds >= self.seconds)


@dataclass(frozen=True)
class Run:
    """How to run an engine.

    Attributes:
        seed: root seed; chain k draws from stream ("chain", k).
        folder: where checkpoints go.
        resume: continue from the checkpoints in ``folder``; they are replaced otherwise.
        workers: processes; chains are spread over them.
        budget: limits of one chain.
        checkpoint_seconds: time between checkpoints.
        tag: identifies model and data, so that a checkpoint of another run is refused.
    """

    seed: int
    folder: Path
    resume: bool = False
    workers: int = 1
    budget: Budget = field(default_factory=Budget)
    checkpoint_seconds: float = 30.0
    tag: str = ""

    @property
    def stop_file(self) -> Path:
        """Chains that see this file save and stop."""
        return self.folder / "STOP"


@dataclass(frozen=True)
class RunResult:
    """An engine's outcome with what it cost; ``exhausted`` where the budget ended a chain."""

    outcome: Outcome
    counters: Counters
    seconds: float
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
        CapabilityError: the posterior lacks what the engine requires.
        ConfigError: the checkpoints belong to another run, or another run is writing them.
        DataSchemaError: a checkpoint is damaged.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: too many failed solves, or a worker died.
    """
    posterior = build()
    check_posterior(engine, posterior)
    notify = progress or _silent
    with claimed(engine, spec):
        if spec.workers > 1 and engine.n_chains > 1:
            run_chains(engine, build, spec, notify)
        else:
            for k in range(engine.n_chains):
                run_chain(engine, posterior, spec, k, notify)
        points = [ChainStore(spec.folder, k).load(_state_type(engine)) for k in _ks(engine)]
        partial = any(p is None or not _done(engine, p) for p in points)
        if partial and spec.stop_file.exists():
            raise Preempted(f"stopped and saved in {spec.folder}; continue with --resume")
        return _finalized(engine, posterior, spec, partial)


def _ks(engine: Engine[Any]) -> range:
    return range(engine.n_chains)


def _state_type(engine: Engine[Any]) -> type[Any]:
    kind = get_type_hints(type(engine).init)["return"]
    assert isinstance(kind, type)
    return kind


def _done(engine: Engine[Any], saved: Saved) -> bool:
    return saved.step >= engine.n_steps or engine.finished(saved.state)


def run_chain(
    engine: Engine[Any], posterior: Posterior, spec: Run, k: int, progress: Progress
) -> None:
    """Advance chain ``k`` to its end, a stop or its budget, and leave it saved."""
    if spec.stop_file.exists():
        return
    began, store = time.monotonic(), ChainStore(spec.folder, k)
    saved = store.load(_state_type(engine)) or _started(engine, posterior, spec, k)
    counters, state, rng, step = saved.counters, saved.state, saved.rng, saved.step
    posterior.charge(counters)
    save_at, look_at = began + spec.checkpoint_seconds, 0.0
    began -= saved.seconds
    now, records = time.monotonic(), list[Mapping[str, Any]]()
    while (
        step < engine.n_steps
        and not engine.finished(state)
        and not spec.budget.spent(counters, now - began)
    ):
        state = engine.step(posterior, state, rng)
        step += 1
        record = engine.record(state, step)
        if record is not None:
            records.append(record)
        _check_failures(counters)
        now = time.monotonic()
        if now >= look_at:
            look_at = now + LOOK_SECONDS
            progress(k, step, engine.n_steps, _note(state))
            if spec.stop_file.exists():
                break
        if now >= save_at:
            save_at = now + spec.checkpoint_seconds
            saved = Saved(state, rng, step, saved.n_chunks, counters, now - began)
            saved, records = store.save(saved, records), []
    progress(k, step, engine.n_steps, _note(state))
    store.save(Saved(state, rng, step, saved.n_chunks, counters, now - began), records)


def _started(engine: Engine[Any], posterior: Posterior, spec: Run, k: int) -> Saved:
    """The chain before its first step."""
    counters, rng = Counters(), stream(spec.seed, "chain", k)
    posterior.charge(counters)
    state = engine.init(posterior, rng)
    _check_failures(counters)
    return Saved(state, rng, 0, 0, counters, 0.0)


def _note(state: Any) -> str:
    misfit = getattr(state, "misfit", None)
    return "" if misfit is None else f"misfit {float(np.mean(misfit)):.4g}"


def _check_failures(counters: Counters) -> None:
    solves, failed = counters.n_forward, counters.n_failed
    if solves == 0:
        solves, failed = counters.n_surrogate, counters.n_surrogate_failed
    if failed > FAILED_SHARE * solves and solves >= 20:
        raise RunFailed(
            f"{failed} of {solves} solves failed; check the problem's configuration with "
            "'pdeinv check', or narrow the prior"
        )


def _finalized(engine: Engine[Any], posterior: Posterior, spec: Run, partial: bool) -> RunResult:
    """The outcome of all chains; where the budget cut one short it is not converged."""
    chains = [_chain(engine, spec, k) for k in _ks(engine)]
    total = Counters()
    posterior.charge(total)
    outcome = engine.finalize(posterior, chains, stream(spec.seed, "finalize"))
    for chain in chains:
        total.add(chain.counters)
    if partial:
        outcome = replace(outcome, converged=False, message=f"budget spent; {outcome.message}")
    return RunResult(outcome, total, sum(c.seconds for c in chains), partial)


def _chain(engine: Engine[Any], spec: Run, k: int) -> Chain:
    store = ChainStore(spec.folder, k)
    saved = store.load(_state_type(engine))
    assert saved is not None
    return Chain(saved.state, store.records(saved.n_chunks), saved.counters, saved.seconds)
