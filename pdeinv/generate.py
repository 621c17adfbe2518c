"""Many solves of a problem at drawn unknowns, in parallel, resumable, failures recorded.

Sample ``i`` depends on the seed and ``i`` alone. Batches are solved by worker processes that build
the model once; each batch is one file in the run folder, and the output is made of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from pdeinv.batches import BatchSolver, check_derivatives
from pdeinv.building import make_problem
from pdeinv.designs import Plan
from pdeinv.errors import ConfigError, Preempted, RunFailed
from pdeinv.executors import process_pool
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic
from pdeinv.io.datasets import Samples, to_dataset
from pdeinv.io.runs import remember
from pdeinv.protocols import Problem
from pdeinv.provenance import attributes

__all__ = ["Progress", "generate"]


class Progress(Protocol):
    """Told after each batch how many samples are done and how many of them failed."""

    def __call__(self, done: int, total: int, failed: int) -> None:
        """Samples done, samples in all, failed among those done."""


_solver: BatchSolver | None = None


def _start(plan: Plan) -> None:
    global _solver
    _solver = BatchSolver(plan)


def _shard(folder: Path, k: int) -> Path:
    return folder / f"batch{k:06d}.npz"


def _work(folder: Path, k: int) -> None:
    """Solve batch ``k`` and leave it in its file; only ``k`` travelled here."""
    assert _solver is not None
    samples = _solver.solve(k)
    arrays = {
        f.name: np.asarray(getattr(samples, f.name))
        for f in fields(samples)
        if getattr(samples, f.name) is not None
    }
    with atomic(_shard(folder, k)) as target, target.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


def _cut(name: str, array: Any, n: int) -> Any:
    return array if name == "probes" and array.ndim == 2 else array[:n]


def _load(folder: Path, k: int, n: int) -> Samples | None:
    """Batch ``k`` cut to ``n`` samples; None where it is missing, damaged or too short."""
    try:
        # opened here because np.load leaves a damaged file open
        with _shard(folder, k).open("rb") as file, np.load(file, allow_pickle=False) as data:
            arrays = {name: _cut(name, data[name], n) for name in data.files}
            failures = tuple(str(text) for text in arrays.pop("failures"))
            samples = Samples(failures=failures, **arrays)
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile):
        return None
    return samples if len(samples.xi) == n else None


def _claim(plan: Plan, folder: Path, resume: bool) -> None:
    """Mark the run folder with the plan, or check the mark that is there."""
    file = folder / "run.json"
    if file.exists() and resume:
        if json.loads(file.read_text())["fingerprint"] != plan.mark():
            raise ConfigError(
                f"batches in {folder} belong to another configuration, seed, sensors or design; "
                "repeat the first command with --resume, or start again with --overwrite"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("batch*.npz"):
        old.unlink()
    with atomic(file) as target:
        target.write_text(json.dumps({"fingerprint": plan.mark()}))


def _silent(done: int, total: int, failed: int) -> None:
    """No progress."""


def generate(
    plan: Plan,
    out: Path,
    folder: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    progress: Progress = _silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Solve the plan's samples and write them to ``out``.

    The numbers are the same, bit for bit, for every number of workers and after every interruption:
    each worker process uses one thread.

    Args:
        plan: what to solve.
        out: the data set file.
        folder: where batches are kept until the output is written.
        workers: processes.
        resume: keep the batches found in ``folder``.
        progress: told after each batch.
        should_stop: asked between batches; finished batches are kept.

    Raises:
        ConfigError: the batches in ``folder`` belong to another plan.
        Preempted: a stop was asked for.
        RunFailed: a worker died, or every solve failed.
    """
    problem = make_problem(plan.problem, plan.problem_config)
    plan.draw(0, problem.prior().dim)
    check_derivatives(problem, plan)
    _claim(plan, folder, resume)
    remember(folder, plan.table())
    have = {k: s for k in range(plan.n_batches) if (s := _load(folder, k, len(plan.batch(k))))}
    tally = {k: sum(bool(r) for r in s.failures) for k, s in have.items()}
    missing = [k for k in range(plan.n_batches) if k not in have]

    def done(k: int) -> None:
        samples = _load(folder, k, len(plan.batch(k)))
        if samples is None:
            raise RunFailed(f"batch {k} in {folder} cannot be read back; check the disk")
        have[k], tally[k] = samples, sum(bool(r) for r in samples.failures)
        progress(sum(len(plan.batch(j)) for j in have), plan.n, sum(tally.values()))

    if missing:
        _solve_missing(plan, folder, (missing, workers), done, should_stop)
    _write(problem, plan, [have[k] for k in range(plan.n_batches)], out)


def _solve_missing(
    plan: Plan,
    folder: Path,
    what: tuple[list[int], int],
    done: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Solve the missing batches, handing out a few at a time so that a stop is quick."""
    missing, workers = list(what[0]), min(what[1], len(what[0]))
    try:
        with process_pool(workers, _start, (plan,)) as pool:
            pending: dict[Future[None], int] = {}
            while missing or pending:
                while missing and len(pending) < 2 * workers and not should_stop():
                    k = missing.pop(0)
                    pending[pool.submit(_work, folder, k)] = k
                if not pending:
                    raise Preempted(
                        f"stopped; batches are kept in {folder}; continue with --resume"
                    )
                ready, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in ready:
                    future.result()
                    done(pending.pop(future))
    except BrokenProcessPool:
        raise RunFailed(
            f"a worker process died (out of memory?); finished batches are kept in {folder}; "
            "continue with --resume, perhaps with fewer --workers"
        ) from None


def _join(parts: list[Samples]) -> Samples:
    def column(name: str) -> Any:
        arrays = [getattr(p, name) for p in parts]
        if arrays[0] is None or (name == "probes" and arrays[0].ndim == 2):
            return arrays[0]
        return np.concatenate(arrays)

    failures = tuple(text for p in parts for text in p.failures)
    names = [f.name for f in fields(Samples) if f.name != "failures"]
    return Samples(failures=failures, **{name: column(name) for name in names})


def _write(problem: Problem, plan: Plan, parts: list[Samples], out: Path) -> None:
    samples = _join(parts)
    if all(samples.failures):
        raise RunFailed(
            f"all {plan.n} solves failed, the first with: {samples.failures[0]}; "
            "check the problem's configuration with 'pdeinv check'"
        )
    inputs = {} if plan.design is None else dict([plan.design.source])
    attrs = {**attributes(plan.table(), plan.seed, inputs), "pdeinv_level": plan.level}
    netcdf.write(out, to_dataset(problem, plan.sensors, samples, attrs))
