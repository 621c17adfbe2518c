"""Many solves of a problem at drawn unknowns, in parallel, resumable, failures recorded.

Sample ``i`` depends on the seed and ``i`` alone. Batches are solved by workers that build the model
once; each batch is a shard in the run folder, and the output is made of all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from pdeinv.errors import Preempted, RunFailed
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.pools import Pool, opened, require_backend
from pdeinv.io.atomic import sweep, write_text
from pdeinv.io.decided import check_same, decided_before, plain
from pdeinv.io.lock import owned
from pdeinv.io.runs import PLAN, keep_configuration, make_run_folder
from pdeinv.io.streaming import write_stream
from pdeinv.jobs.generate import shards
from pdeinv.jobs.generate.batches import checked, solve_batches
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.samples import to_dataset
from pdeinv.jobs.generate.shards import Shard
from pdeinv.jobs.generate.size import check_size
from pdeinv.plugins import registry
from pdeinv.plugins.own_declared import brought, check_travels, stays
from pdeinv.plugins.problem import Problem
from pdeinv.provenance import attributes
from pdeinv.system_errors import short_of_files

__all__ = ["Execution", "Progress", "generate"]

TASK = "pdeinv.jobs.generate.batches:solve_batches"
LOOK_SECONDS = 2.0
"""Time between two looks at what the jobs of an array have written."""

TASK_SECONDS, AHEAD = 0.1, 2
"""What a task takes, about, where a batch takes less; and how many of them a worker is given."""


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
class Execution:
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

    @property
    def writes_meanwhile(self) -> bool:
        """Whether the output is written while batches are solved.

        One worker is one process at work, and jobs of an array may begin in days.
        """
        return self.workers > 1 and self.executor.name == "process"

    @property
    def alone(self) -> bool:
        """Whether nobody else can be writing into the run folder, now or soon."""
        return self.part is None and self.executor.name == "process"


def generate(
    plan: Plan, out: Path, folder: Path, execution: Execution | None = None, **options: Any
) -> None:
    """Solve the plan's samples and write them to ``out``.

    The numbers are the same, bit for bit, for every executor, every number of workers and after
    every interruption: a worker uses one thread.

    Args:
        plan: what to solve.
        out: the data set file.
        folder: where batches are kept until the output is written.
        execution: where and with what.
        **options: fields of ``execution``, where that is absent.

    Raises:
        ConfigError: the batches in ``folder`` belong to another plan.
        Preempted: a stop was asked for.
        RunFailed: a worker died, every solve failed, or a batch to assemble is missing.
    """
    execution = execution or Execution(**options)
    registry.require("problems", plan.problem)
    require_backend(execution.executor, execution.workers)
    problem, axes = checked(plan)
    check_size(problem, plan, out)
    with owned(out, shared=execution.part is not None):
        _claim(plan, folder, execution)
        try:
            _generated(problem, plan, out, folder, execution, axes)
        except BaseException:
            if execution.alone:
                shards.drop_if_empty(folder)
            raise


def _generated(
    problem: Problem,
    plan: Plan,
    out: Path,
    folder: Path,
    execution: Execution,
    axes: dict[str, Any],
) -> None:
    """Solve what is missing and write the output."""
    numbers = range(plan.n_batches)
    if execution.part is not None:
        numbers = range(execution.part[0] - 1, plan.n_batches, execution.part[1])
    total = sum(len(plan.batch(k)) for k in numbers)
    tally = _Tally(plan, folder, total, execution.progress)
    tally.look(numbers)
    missing = [k for k in numbers if k not in tally.have]
    if missing and execution.assemble:
        raise RunFailed(
            f"{len(missing)} of {plan.n_batches} batches are missing in {folder}, the first is "
            f"batch {missing[0]}; run the parts that are not done, or use --resume to solve them"
        )
    with closing(_solve_missing(tally, missing, execution)) as solving:
        if execution.part is not None or not execution.writes_meanwhile:
            for _ in solving:
                pass
        if execution.part is None:
            _write(problem, plan, tally, axes, out, _in_turn(tally, solving))


def _in_turn(tally: _Tally, solving: Iterator[None]) -> Iterator[Shard]:
    """All batches in order, each once it is there."""
    for k in range(tally.plan.n_batches):
        while k not in tally.have:
            next(solving)
        yield tally.have[k]
    for _ in solving:  # which ends the workers
        pass


def _claim(plan: Plan, folder: Path, execution: Execution) -> None:
    """Mark the run folder with what decides the samples, or check the mark that is there."""
    file = folder / "run.json"
    if file.exists() and execution.joins:
        _check_decided(plan, folder, file)
    else:
        make_run_folder(folder)
        if not execution.joins:
            shards.forget(folder)
        write_text(file, json.dumps({"decides": plain(plan.decides()), "kind": "dataset"}))
    if execution.alone:
        sweep(folder)
    plan.save(folder / PLAN)
    keep_configuration(folder, plan.table())


def _check_decided(plan: Plan, folder: Path, file: Path) -> None:
    hint = " (a Latin hypercube cannot grow)" if plan.sampling == "lhs" else ""
    what = f"batches in {folder} belong to another configuration, seed, sensors or design"
    check_same(decided_before(file, "decides"), plan.decides(), what, hint)


@dataclass
class _Tally:
    """Which batches are there."""

    plan: Plan
    folder: Path
    total: int
    progress: Progress
    have: dict[int, Shard] = field(default_factory=dict)
    solved: int = 0
    began: float = field(default_factory=time.monotonic)

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
        self.solved += len(numbers)
        lost = [k for k in numbers if k not in self.have]
        if lost:
            raise RunFailed(f"batch {lost[0]} in {self.folder} cannot be read back; check the disk")
        self.tell()

    def tell(self) -> None:
        """Report progress."""
        found = self.have.values()
        self.progress(sum(s.samples for s in found), self.total, sum(s.failed for s in found))


def _solve_missing(tally: _Tally, missing: list[int], execution: Execution) -> Generator[None]:
    """Solve the missing batches; yields each time that some are there.

    Raises:
        Preempted: a stop was asked for.
        RunFailed: a worker died.
    """
    if not missing:
        return
    workers, plan = min(execution.workers, len(missing)), tally.plan
    own = stays(plan.problem, plan.problem_config)
    if workers == 1 and execution.executor.name == "process" and own:
        yield from _solve_here(tally, missing, execution.should_stop)
        return
    check_travels(plan.problem, plan.problem_config, execution.workers)
    try:
        with opened(execution.executor, workers, tally.folder) as pool:
            yield from _solve_by(pool, tally, missing, execution.should_stop)
    except BrokenExecutor:
        raise RunFailed(
            f"a worker process died (out of memory{short_of_files()}?); finished batches are kept "
            f"in {tally.folder}; continue with --resume, perhaps with fewer --workers"
        ) from None


def _arguments(tally: _Tally) -> tuple[str, str, object]:
    """What a worker needs to know besides the numbers of its batches."""
    plan = tally.plan
    sent = brought(plan.problem, plan.problem_config)
    return str(tally.folder.absolute()), plan.key(), sent


def _stopped(folder: Path) -> Preempted:
    return Preempted(f"stopped; batches are kept in {folder}; continue with --resume")


def _solve_here(
    tally: _Tally, missing: list[int], should_stop: Callable[[], bool]
) -> Iterator[None]:
    """Solve in this process, which alone has the function of a model that was made in it."""
    arguments = _arguments(tally)
    for k in missing:
        if should_stop():
            raise _stopped(tally.folder)
        solve_batches(*arguments, (k,))
        tally.done((k,))
        yield


def _tasks(pool: Pool, tally: _Tally, waiting: Sequence[int], room: int) -> list[tuple[int, ...]]:
    """Batches to hand out: all of them to a scheduler, else those of about a tenth of a second.

    A task each would cost more than a batch of fast solves: this process, which may be writing
    meanwhile, has to answer for every one.

    Args:
        pool: who solves.
        tally: what was solved, and since when.
        waiting: the batches that are left.
        room: how many tasks.
    """
    if pool.arrays:
        return pool.groups(waiting)
    seconds = max(time.monotonic() - tally.began, TASK_SECONDS)
    quick = int(TASK_SECONDS * tally.solved / (seconds * pool.workers))
    size = max(1, min(quick, len(waiting) // (2 * pool.workers)))
    return [tuple(waiting[i : i + size]) for i in range(0, len(waiting), size)][:room]


def _solve_by(
    pool: Pool, tally: _Tally, missing: Sequence[int], should_stop: Callable[[], bool]
) -> Iterator[None]:
    """Hand out a few batches at a time, so that a stop is quick; to a scheduler all of them.

    What the jobs of an array have done is seen in the folder.
    """
    arguments = _arguments(tally)
    waiting, pending = missing, dict[Future[Any], tuple[int, ...]]()
    while waiting or pending:
        room = max(0, AHEAD * pool.workers - len(pending))
        groups = [] if should_stop() else _tasks(pool, tally, waiting, room)
        if groups:
            waiting = waiting[sum(map(len, groups)) :]
            pending |= zip(pool.submit(TASK, arguments, groups), groups, strict=True)
        elif not pending or (pool.arrays and should_stop()):
            raise _stopped(tally.folder)
        look = LOOK_SECONDS if pool.arrays else None
        for future in wait(pending, look, FIRST_COMPLETED).done:
            future.result()
            tally.done(pending.pop(future))
        if pool.arrays:
            tally.look([k for group in pending.values() for k in group])
            tally.tell()
        yield


def _write(
    problem: Problem,
    plan: Plan,
    tally: _Tally,
    axes: dict[str, Any],
    out: Path,
    found: Iterator[Shard],
) -> None:
    """Write the manifest and the output, holding a few batches at a time in memory."""
    table = plan.table()
    inputs = [
        *([] if plan.design is None else [plan.design.source]),
        *plan.inputs,
    ]
    attrs = {**attributes(table, plan.seed, inputs), "pdeinv_level": plan.level}

    known, groups = dict[str, Any](), dict[str, xr.Dataset]()

    def batches() -> Iterator[xr.Dataset]:
        for samples in shards.blocks(tally.folder, found):
            yield to_dataset(problem, plan.sensors, samples, attrs, axes, plan.noise_std)
        listed = [tally.have[k] for k in range(plan.n_batches)]
        known["pdeinv_failed"] = _failed(plan, tally.folder, listed)
        groups["batches"] = _sources(listed)
        facts = {name: table[name] for name in ("seed", "n", "design")}
        shards.write_manifest(tally.folder, {"fingerprint": plan.mark(), **facts}, listed)

    write_stream(out, batches(), plan.n, known, groups)


def _failed(plan: Plan, folder: Path, found: Sequence[Shard]) -> int:
    """How many solves failed.

    Raises:
        RunFailed: all.
    """
    failed = sum(s.failed for s in found)
    if failed == plan.n:
        first = shards.load(folder, 0, found[0].samples)
        raise RunFailed(
            f"all {plan.n} solves failed, the first with: {first.failures[0]}; "
            "check the problem's configuration with 'pdeinv check'"
        )
    return failed


def _sources(found: Sequence[Shard]) -> xr.Dataset:
    """What each shard held: for the record."""
    columns = {
        "sha256": (np.array([s.digest for s in found], dtype=object),
                   "hash of the batch in the run folder"),
        "samples": (np.array([s.samples for s in found]), "number of samples"),
        "failed": (np.array([s.failed for s in found]), "number of failed solves"),
    }  # fmt: skip
    return xr.Dataset(
        {k: xr.Variable("batch", values, {"long_name": t}) for k, (values, t) in columns.items()}
    )
