"""The one loop over an engine's steps: progress, checkpoints, budgets, stops, failed solves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
from pdeinv.engines.requests import drive
from pdeinv.engines.run.checkpoint import ChainStore, Saved
from pdeinv.engines.run.spec import Run
from pdeinv.errors import RunFailed
from pdeinv.rng import stream

__all__ = ["done", "run_chain", "state_type"]

FAILED_SHARE = 0.5
"""A chain fails when more than this share of its solves failed (after 20 solves)."""

LOOK_SECONDS = 0.2
"""Time between two looks at the stop file, each with a report of progress."""


def state_type(engine: Engine[Any]) -> type[Any]:
    """What ``engine.init`` ends with, by its annotation ``Steps[S]``."""
    kind = get_args(get_type_hints(type(engine).init)["return"])[-1]
    assert isinstance(kind, type)
    return kind


def done(engine: Engine[Any], saved: Saved) -> bool:
    """Whether a chain has come to its end."""
    return saved.step >= engine.n_steps or engine.finished(saved.state)


def run_chain(
    engine: Engine[Any], posterior: Posterior, spec: Run, k: int, progress: Progress
) -> None:
    """Advance chain ``k`` to its end, a stop or its budget, and leave it saved."""
    if spec.stop_file.exists():
        return
    began, store = time.monotonic(), ChainStore(spec.folder, k)
    saved = store.load(state_type(engine))
    if saved is None:
        saved = Saved(None, stream(spec.seed, "chain", k), 0, 0, Counters(), 0.0)
    counters, state, rng, step = saved.counters, saved.state, saved.rng, saved.step
    posterior.charge(counters)
    if state is None:
        state = drive(posterior, engine.init(posterior, rng))
        _check_failures(counters)
    save_at, look_at = began + spec.checkpoint_seconds, 0.0
    began -= saved.seconds
    now, records = time.monotonic(), list[Mapping[str, Any]]()
    while (
        step < engine.n_steps
        and not engine.finished(state)
        and not spec.budget.spent(counters, now - began)
    ):
        state = drive(posterior, engine.step(posterior, state, rng))
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
