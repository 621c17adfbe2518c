"""The one loop over an engine's steps: progress, checkpoints, budgets, stops, failed solves.

It yields what the steps ask for and never solves; :mod:`.together` answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args, get_type_hints

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
from pdeinv.engines.requests import Request, Steps, advance
from pdeinv.engines.run.checkpoint import ChainStore, Saved, shown_misfit
from pdeinv.engines.run.clock import Clock, Seconds
from pdeinv.engines.run.spec import Run
from pdeinv.engines.solvable import unwatched
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.rng import stream

__all__ = ["Enough", "LiveChain", "done", "never", "state_type"]

type Enough = Callable[[float], bool]
"""Told the share of a chain's steps that are done: whether it is to save and end here."""

FAILED_SHARE = 0.5
"""A chain fails when more than this share of its solves, derivatives among them, failed (after 20
solves)."""

LOOK_SECONDS = 0.2
"""Time between two looks at the stop file, each with a report of progress."""

LONG_STEP = 1.0
"""Seconds after which a step does not go on to its end where a stop was asked for."""


def never(_: float) -> bool:
    """Go on to the end."""
    return False


def state_type(engine: Engine[Any]) -> type[Any]:
    """What ``engine.init`` ends with, by its annotation ``Steps[S]``."""
    kind = get_args(get_type_hints(type(engine).init)["return"])[-1]
    assert isinstance(kind, type)
    return kind


def done(engine: Engine[Any], state: Any, step: int) -> bool:
    """Whether a chain has come to its end."""
    return step >= engine.n_steps or engine.finished(state)


class LiveChain:
    """Chain ``k`` while it runs: what it asks for, what it spends, and its files.

    Attributes:
        steps: a generator of requests, which saves the chain at its end, a stop or its budget.
        asks: the request that it waits for, if it does.
        found: what is sent to it next: an answer, or an error to be raised in its place.
        told_to_stop: whether to save and end after this step.

    Args:
        engine: says how it steps.
        posterior: whom it asks; read only, it is answered from outside.
        spec: how to run.
        k: its number.
        progress: told how far it is.
        enough: told the share of its steps that are done; whether it is to save and end here.

    Raises:
        DataSchemaError: its checkpoint is damaged.
    """

    def __init__(
        self,
        engine: Engine[Any],
        posterior: Posterior,
        spec: Run,
        k: int,
        progress: Progress,
        enough: Enough = never,
    ) -> None:
        self.engine, self.posterior, self.spec, self.k = engine, posterior, spec, k
        self._store = ChainStore(spec.folder, k)
        saved = self._store.load(state_type(engine)) or _fresh(spec, k)
        self._state, self._rng, self._step = saved.state, saved.rng, saved.step
        self._n_chunks, self._records = saved.n_chunks, list[Mapping[str, Any]]()
        self._progress, self._enough = progress, enough
        self.counters, self.clock = saved.counters, Clock(saved.spent)
        self.steps, self.told_to_stop = self._run(), False
        self.asks: Request | None = None
        self.found: Any = None

    @property
    def begun(self) -> bool:
        """Whether there is a state to save."""
        return self._state is not None

    def _run(self) -> Steps[None]:
        if self.spec.stop_file.exists():
            return
        if not self.begun:
            began = time.monotonic()
            yield from self._begin()
            _check_failures(self.counters)
            if not self.begun:
                return
            if time.monotonic() - began > self.spec.checkpoint_seconds:
                self._save()  # the chain may have to wait for others now
        save_at, look_at = time.monotonic() + self.spec.checkpoint_seconds, 0.0
        while not self._ended():
            state = yield from self._stepped()
            if state is None:
                break
            self._advance(state)
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_SECONDS
                self._report()
                if self.spec.stop_file.exists():
                    break
            if now >= save_at:
                save_at = now + self.spec.checkpoint_seconds
                self._save()
        self._report()
        self._save()

    def _begin(self) -> Steps[None]:
        """The first state, or none where a stop or the budget came before: it begins anew then."""

        def ends() -> bool:
            if self._must_end() or self.spec.stop_file.exists():
                return True
            self._report_start()
            return False

        with unwatched(self.posterior):
            self._state = yield from _until(ends, self.engine.init(self.posterior, self._rng))

    def _stepped(self) -> Steps[Any]:
        """The next state, or none where a stop came in a long step: all is as before it then."""
        began, counters, drawn = time.monotonic(), replace(self.counters), self._rng.bit_generator
        kept = drawn.state

        def ends() -> bool:
            return time.monotonic() - began >= LONG_STEP and self.spec.stop_file.exists()

        steps = self.engine.step(self.posterior, self._state, self._rng)
        state = yield from _until(ends, steps)
        if state is None:
            self.counters, drawn.state = counters, kept
        return state

    def _must_end(self) -> bool:
        if self.told_to_stop or self._enough(self._step / max(1, self.engine.n_steps)):
            return True
        return self.spec.budget.spent(self.counters, self.clock.seconds)

    def _ended(self) -> bool:
        if self._must_end():
            return True
        return done(self.engine, self._state, self._step)

    def _advance(self, state: Any) -> None:
        self._state, self._step = state, self._step + 1
        record = self.engine.record(state, self._step)
        if record is not None:
            self._records.append(record)
        _check_failures(self.counters)

    def _report(self) -> None:
        self._progress(self.k, self._step, self.engine.n_steps, _note(self._state))

    def _report_start(self) -> None:
        """How many solves it took so far to begin; a search for modes may take many."""
        solves = self.counters.n_forward or self.counters.n_surrogate
        if solves:
            self._progress(self.k, 0, self.engine.n_steps, f"looking for a start, {solves} solves")

    def _save(self) -> None:
        spent = self.counters, self.clock.spent
        saved = Saved(self._state, self._rng, self._step, self._n_chunks, *spent)
        self._n_chunks = self._store.save(saved, self._records).n_chunks
        self._records = []


def _until(ends: Callable[[], bool], steps: Steps[Any]) -> Steps[Any]:
    """What ``steps`` return, or None where ``ends``, asked now and then, says so before."""
    found, look_at = None, time.monotonic() + LOOK_SECONDS
    try:
        while True:
            request = advance(steps, found)
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_SECONDS
                if ends():
                    steps.close()
                    return None
            try:
                found = yield request
            except SolverDiverged as error:
                found = error
    except StopIteration as end:
        return end.value


def _fresh(spec: Run, k: int) -> Saved:
    return Saved(None, stream(spec.seed, "chain", k), 0, 0, Counters(), Seconds())


def _note(state: Any) -> str:
    misfit, stage = shown_misfit(state), getattr(state, "stage", "")
    return "" if misfit is None else f"{stage}{', ' * bool(stage)}misfit {misfit:.4g}"


def _check_failures(counters: Counters) -> None:
    solves = counters.n_forward + counters.n_tangent + counters.n_adjoint
    failed = counters.n_failed
    if solves == 0:
        solves, failed = counters.n_surrogate, counters.n_surrogate_failed
    if failed > FAILED_SHARE * solves and solves >= 20:
        raise RunFailed(
            f"{failed} of {solves} solves failed; check the problem's configuration with "
            "'pdeinv check', or narrow the prior"
        )
