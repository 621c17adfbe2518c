"""The one loop: it runs engines, and owns progress, checkpoints, budgets, signals and failed solves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, get_type_hints

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.config import fingerprint
from pdeinv.engines.base import Chain, Engine, Outcome, check_posterior
from pdeinv.engines.checkpoint import ChainStore, Saved
from pdeinv.errors import ConfigError, Preempted, RunFailed
from pdeinv.executors import process_pool
from pdeinv.io.atomic import atomic
from pdeinv.rng import stream

__all__ = ["Budget", "Progress", "Run", "RunResult", "run"]

FAILED_SHARE = 0.5
"""A chain stops when more than this share of its solves failed (after 20 solves)."""


class Progress(Protocol):
    """Told now and then how far each chain is."""

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None: ...


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
        resume: continue from the checkpoints in ``folder``.
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
    """An engine's outcome with what it cost."""

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
    """Run all chains of ``engine`` and finalize.

    Args:
        engine: what to run.
        build: makes the posterior; with several workers it is pickled and called once in each.
        spec: how to run.
        progress: told how far each chain is.

    Raises:
        CapabilityError: the posterior lacks what the engine requires.
        ConfigError: the checkpoints belong to another run.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: too many failed solves.
    """
    posterior = build()
    check_posterior(engine, posterior)
    _claim_folder(engine, spec)
    notify = progress or (lambda chain, step, n_steps, note: None)
    ks = range(engine.n_chains)
    if spec.workers > 1 and engine.n_chains > 1:
        _run_parallel(engine, build, spec, notify)
    else:
        for k in ks:
            run_chain(engine, posterior, spec, k, notify)
    if spec.stop_file.exists():
        raise Preempted(f"stopped and saved in {spec.folder}; continue with --resume")
    chains = [_finished_chain(engine, spec, k) for k in ks]
    extra = Counters()
    posterior.charge(extra)
    outcome = engine.finalize(posterior, chains, stream(spec.seed, "finalize"))
    total = Counters()
    for part in (*(c.counters for c in chains), extra):
        total.add(part)
    exhausted = any(spec.budget.spent(c.counters, c.seconds) for c in chains)
    if exhausted:
        outcome = replace(outcome, converged=False, message=f"budget spent; {outcome.message}")
    return RunResult(outcome, total, sum(c.seconds for c in chains), exhausted)


def _claim_folder(engine: Engine[Any], spec: Run) -> None:
    """Mark the run folder with what it belongs to, or check the mark of a resumed run."""
    config = engine.config.model_dump(mode="json")
    for length in ("draws", "max_iterations"):
        config.pop(length, None)
    mark = fingerprint({"engine": engine.name, **config, "seed": spec.seed, "tag": spec.tag})
    file = spec.folder / "run.json"
    if spec.resume and file.exists() and json.loads(file.read_text())["fingerprint"] != mark:
        raise ConfigError(
            f"checkpoints in {spec.folder} belong to another configuration, seed or data; "
            "repeat the first command with --resume, or start again with --overwrite"
        )
    spec.folder.mkdir(parents=True, exist_ok=True)
    spec.stop_file.unlink(missing_ok=True)
    with atomic(file) as target:
        target.write_text(json.dumps({"fingerprint": mark, "engine": engine.name}))


def _state_type(engine: Engine[Any]) -> type[Any]:
    kind = get_type_hints(type(engine).init)["return"]
    assert isinstance(kind, type)
    return kind


def run_chain(
    engine: Engine[Any], posterior: Posterior, spec: Run, k: int, progress: Progress
) -> None:
    """Advance chain ``k`` to its end, a stop or its budget, and leave it saved."""
    store = ChainStore(spec.folder, k)
    posterior.charge(Counters())
    saved = store.load(_state_type(engine))
    if saved is None:
        started = time.monotonic()
        rng = stream(spec.seed, "chain", k)
        state = engine.init(posterior, rng)
        saved = Saved(state, rng, 0, 0, posterior.counters, time.monotonic() - started)
    posterior.charge(saved.counters)
    state, rng, step = saved.state, saved.rng, saved.step
    begin = last = time.monotonic()
    records: list[Mapping[str, Any]] = []
    while step < engine.n_steps and not engine.finished(state):
        state = engine.step(posterior, state, rng)
        step += 1
        record = engine.record(state, step)
        if record is not None:
            records.append(record)
        now = time.monotonic()
        seconds = saved.seconds + now - begin
        _check_failures(posterior.counters)
        stop = spec.stop_file.exists() if step % 16 == 0 or now - last > 1 else False
        if now - last >= spec.checkpoint_seconds:
            point = Saved(state, rng, step, saved.n_chunks, posterior.counters, saved.seconds)
            saved = replace(store.save(replace(point, seconds=seconds), records), seconds=seconds)
            begin, records, last = now, [], now
        progress(k, step, engine.n_steps, f"misfit {float(getattr(state, 'misfit', 0.0)):.4g}")
        if stop or spec.budget.spent(posterior.counters, seconds):
            break
    total = saved.seconds + time.monotonic() - begin
    store.save(Saved(state, rng, step, saved.n_chunks, posterior.counters, total), records)


def _check_failures(counters: Counters) -> None:
    if counters.n_forward >= 20 and counters.n_failed > FAILED_SHARE * counters.n_forward:
        raise RunFailed(
            f"{counters.n_failed} of {counters.n_forward} solves failed; check the problem's "
            "configuration with 'pdeinv check', or narrow the prior"
        )


def _finished_chain(engine: Engine[Any], spec: Run, k: int) -> Chain:
    store = ChainStore(spec.folder, k)
    saved = store.load(_state_type(engine))
    assert saved is not None
    return Chain(saved.state, store.records(saved.n_chunks), saved.counters, saved.seconds)


class _FileProgress:
    """Progress of a worker, left in a small file that the parent polls."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.last = folder, 0.0

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        now = time.monotonic()
        if now - self.last < 0.5 and step < n_steps:
            return
        self.last = now
        with atomic(self.folder / f"chain{chain}.progress.json") as target:
            target.write_text(json.dumps([chain, step, n_steps, note]))


_worker_posterior: Posterior | None = None


def _start_worker(build: Callable[[], Posterior]) -> None:
    global _worker_posterior
    _worker_posterior = build()


def _work(engine: Engine[Any], spec: Run, k: int) -> None:
    assert _worker_posterior is not None
    run_chain(engine, _worker_posterior, spec, k, _FileProgress(spec.folder))


def _run_parallel(
    engine: Engine[Any], build: Callable[[], Posterior], spec: Run, progress: Progress
) -> None:
    workers = min(spec.workers, engine.n_chains)
    with process_pool(workers, _start_worker, (build,)) as pool:
        pending: set[Future[None]] = {
            pool.submit(_work, engine, spec, k) for k in range(engine.n_chains)
        }
        try:
            while pending:
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                _relay(spec.folder, engine.n_chains, progress)
        except BaseException:
            spec.stop_file.touch()
            for future in pending:
                future.cancel()
            raise


def _relay(folder: Path, n_chains: int, progress: Progress) -> None:
    files: Sequence[Path] = [folder / f"chain{k}.progress.json" for k in range(n_chains)]
    for file in files:
        if file.exists():
            progress(*json.loads(file.read_text()))
