"""Many solves of a problem at drawn unknowns, in parallel, resumable, failures recorded.

Sample ``i`` depends on the seed and ``i`` alone. Batches are solved by workers that build the model
once; each batch is a shard in the run folder, and the output is made of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from pdeinv.batches import PLAN, check_derivatives
from pdeinv.building import make_problem
from pdeinv.designs import Plan
from pdeinv.errors import ConfigError, Preempted, RunFailed
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.pools import Pool, opened
from pdeinv.gridding import experiments
from pdeinv.io import shards
from pdeinv.io.atomic import atomic
from pdeinv.io.runs import make_run_folder, remember
from pdeinv.io.samples import to_dataset
from pdeinv.io.shards import Shard
from pdeinv.io.streaming import write_stream
from pdeinv.protocols import Problem
from pdeinv.provenance import attributes

__all__ = ["How", "Progress", "generate"]

TASK = "pdeinv.batches:solve_batches"
LOOK_SECONDS = 2.0
"""Time between two looks at what the jobs of an array have written."""


class Progress(Protocol):
    """Told after each batch how many samples are done and how many of them failed."""

    def __call__(self, done: int, total: int, failed: int) -> None:
        """Samples done, samples in all, failed among those done."""


def _silent(done: int, total: int, failed: int) -> None:
    """No progress."""


def _never() -> bool:
    """Do not stop."""
    return False


@dataclass(frozen=True)
class How:
    """How a data set is made; none of it changes a number.

    Attributes:
        workers: tasks that run at a time.
        resume: keep the batches found in the run folder.
        executor: where they run.
        part: (i, n), 1 ≤ i ≤ n: solve every n-th batch only and write no output.
        assemble: solve nothing; write the output from batches that are all there.
        progress: told after each batch.
        should_stop: asked between batches; finished batches are kept.
    """

    workers: int = 1
    resume: bool = False
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    part: tuple[int, int] | None = None
    assemble: bool = False
    progress: Progress = _silent
    should_stop: Callable[[], bool] = _never

    @property
    def joins(self) -> bool:
        """Whether batches of the folder are kept; parts must never delete those of the others."""
        return self.resume or self.assemble or self.part is not None


def generate(plan: Plan, out: Path, folder: Path, how: How | None = None, **options: Any) -> None:
    """Solve the plan's samples and write them to ``out``.

    The numbers are the same, bit for bit, for every executor, every number of workers and after
    every interruption: a worker uses one thread.

    Args:
        plan: what to solve.
        out: the data set file.
        folder: where batches are kept until the output is written.
        how: with what.
        **options: fields of ``how``, where that is absent.

    Raises:
        ConfigError: the batches in ``folder`` belong to another plan.
        Preempted: a stop was asked for.
        RunFailed: a worker died, every solve failed, or a batch to assemble is missing.
    """
    how = how or How(**options)
    problem = make_problem(plan.problem, plan.problem_config)
    plan.draw(0, problem.prior().dim)
    check_derivatives(problem, plan)
    axes = {} if plan.grid is None else experiments(problem, plan.sensors, plan.grid, plan.times)
    _claim(plan, folder, how.joins)
    numbers = range(plan.n_batches)
    if how.part is not None:
        numbers = range(how.part[0] - 1, plan.n_batches, how.part[1])
    total = sum(len(plan.batch(k)) for k in numbers)
    tally = _Tally(plan, folder, total, how.progress)
    tally.look(numbers)
    missing = [k for k in numbers if k not in tally.have]
    if missing and how.assemble:
        raise RunFailed(
            f"{len(missing)} of {plan.n_batches} batches are missing in {folder}, the first is "
            f"batch {missing[0]}; run the parts that are not done, or use --resume to solve them"
        )
    if missing:
        _solve_missing(tally, missing, how)
    if how.part is None:
        _write(problem, plan, tally, axes, out)


def _claim(plan: Plan, folder: Path, join: bool) -> None:
    """Mark the run folder with the plan, or check the mark that is there."""
    file = folder / "run.json"
    if file.exists() and join:
        if json.loads(file.read_text()).get("fingerprint") != plan.mark():
            hint = " (a Latin hypercube cannot grow)" if plan.sampling == "lhs" else ""
            raise ConfigError(
                f"batches in {folder} belong to another configuration, seed, sensors or design"
                f"{hint}; repeat the first command with --resume, or start again with --overwrite"
            )
    else:
        make_run_folder(folder)
        if not join:
            shards.forget(folder)
        facts = {"fingerprint": plan.mark(), "kind": "dataset"}
        with atomic(file) as target:
            target.write_text(json.dumps(facts))
    plan.save(folder / PLAN)
    remember(folder, plan.table())


@dataclass
class _Tally:
    """Which batches are there."""

    plan: Plan
    folder: Path
    total: int
    progress: Progress
    have: dict[int, Shard] = field(default_factory=dict)

    def look(self, numbers: Sequence[int]) -> None:
        """Note the batches that are there by now."""
        for k in numbers:
            if k not in self.have:
                found = shards.verified(self.folder, k, len(self.plan.batch(k)))
                if found is not None:
                    self.have[k] = found

    def done(self, numbers: Sequence[int]) -> None:
        """Note batches that must be there, and tell.

        Raises:
            RunFailed: one is not.
        """
        self.look(numbers)
        lost = [k for k in numbers if k not in self.have]
        if lost:
            raise RunFailed(f"batch {lost[0]} in {self.folder} cannot be read back; check the disk")
        self.tell()

    def tell(self) -> None:
        """Report progress."""
        found = self.have.values()
        self.progress(sum(s.samples for s in found), self.total, sum(s.failed for s in found))


def _solve_missing(tally: _Tally, missing: list[int], how: How) -> None:
    """Solve the missing batches.

    Raises:
        Preempted: a stop was asked for.
        RunFailed: a worker died.
    """
    workers = min(how.workers, len(missing))
    try:
        with opened(how.executor, workers, tally.folder) as pool:
            if pool.arrays:
                _by_array(pool, tally, missing, how.should_stop)
            else:
                _one_by_one(pool, tally, missing, how.should_stop)
    except BrokenExecutor:
        raise RunFailed(
            f"a worker process died (out of memory?); finished batches are kept in {tally.folder}; "
            "continue with --resume, perhaps with fewer --workers"
        ) from None


def _stopped(folder: Path) -> Preempted:
    return Preempted(f"stopped; batches are kept in {folder}; continue with --resume")


def _one_by_one(
    pool: Pool, tally: _Tally, missing: list[int], should_stop: Callable[[], bool]
) -> None:
    """Hand out a few batches at a time, so that a stop is quick."""
    arguments = (str(tally.folder.absolute()), tally.plan.key())
    waiting, pending = pool.groups(missing), dict[Future[Any], tuple[int, ...]]()
    while waiting or pending:
        while waiting and len(pending) < 2 * pool.workers and not should_stop():
            group = waiting.pop(0)
            pending[pool.submit(TASK, arguments, [group])[0]] = group
        if not pending:
            raise _stopped(tally.folder)
        ready, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in ready:
            future.result()
            tally.done(pending.pop(future))


def _by_array(
    pool: Pool, tally: _Tally, missing: list[int], should_stop: Callable[[], bool]
) -> None:
    """Hand everything to the scheduler, and watch what appears in the folder."""
    arguments = (str(tally.folder.absolute()), tally.plan.key())
    groups = pool.groups(missing)
    pending = dict(zip(pool.submit(TASK, arguments, groups), groups, strict=True))
    while pending:
        ready, _ = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in ready:
            future.result()
            tally.done(pending.pop(future))
        tally.look([k for group in pending.values() for k in group])
        tally.tell()
        if pending and should_stop():
            raise _stopped(tally.folder)


def _write(problem: Problem, plan: Plan, tally: _Tally, axes: dict[str, Any], out: Path) -> None:
    """Write the manifest and the output, holding one batch at a time in memory."""
    found = [tally.have[k] for k in range(plan.n_batches)]
    failed = sum(s.failed for s in found)
    if failed == plan.n:
        first = shards.load(tally.folder, 0, found[0].samples)
        raise RunFailed(
            f"all {plan.n} solves failed, the first with: {first.failures[0]}; "
            "check the problem's configuration with 'pdeinv check'"
        )
    table = plan.table()
    facts = {name: table[name] for name in ("seed", "n", "design")}
    shards.write_manifest(tally.folder, {"fingerprint": plan.mark(), **facts}, found)
    inputs = {} if plan.design is None else dict([plan.design.source])
    attrs = {**attributes(table, plan.seed, inputs), "pdeinv_level": plan.level}

    def batches() -> Iterator[xr.Dataset]:
        for shard in found:
            samples = shards.load(tally.folder, shard.number, shard.samples)
            yield to_dataset(problem, plan.sensors, samples, attrs, axes)

    write_stream(out, batches(), plan.n, {"pdeinv_failed": failed}, {"batches": _sources(found)})


def _sources(found: Sequence[Shard]) -> xr.Dataset:
    """What each shard held: for the record."""

    def column(values: list[Any], text: str) -> xr.Variable:
        return xr.Variable("batch", np.array(values), {"long_name": text})

    return xr.Dataset(
        {
            "sha256": xr.Variable(
                "batch",
                np.array([s.digest for s in found], dtype=object),
                {"long_name": "hash of the batch in the run folder"},
            ),
            "samples": column([s.samples for s in found], "number of samples"),
            "failed": column([s.failed for s in found], "number of failed solves"),
        }
    )
