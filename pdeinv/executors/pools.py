"""One way to use every backend: open it, submit groups of task numbers, wait for futures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdeinv import extras
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.processes import check_workers
from pdeinv.executors.stages import process_pool
from pdeinv.executors.task import call

__all__ = ["Pool", "opened", "require_backend"]

PACKAGES = {"mpi": "mpi4py", "slurm": "submitit", "dask": "distributed"}
"""What a backend needs beside pdeinv's core."""


def require_backend(config: ExecutorConfig, workers: int) -> None:
    """Refuse a backend whose package is not installed, and more processes than fit in here.

    Raises:
        ConfigError: too many workers for this machine.
        MissingDependency: with the command that installs it.
    """
    if config.name == "process" or (config.name == "dask" and config.scheduler is None):
        check_workers(workers)
    if config.name in PACKAGES:
        extras.require(PACKAGES[config.name], f"--executor {config.name} needs")


@dataclass(frozen=True)
class Pool:
    """An open backend.

    Attributes:
        executor: where tasks go.
        workers: tasks that run at a time.
        arrays: whether everything is handed over at once, as one array of ``workers`` jobs.
        run: what the executor is given: a function's name and its arguments.
    """

    executor: Executor
    workers: int
    arrays: bool = False
    run: Callable[..., None] = call

    def groups(self, numbers: Sequence[int]) -> list[tuple[int, ...]]:
        """Task numbers as they are handed out: one by one, or dealt to the jobs of an array."""
        if not self.arrays:
            return [(k,) for k in numbers]
        jobs = min(self.workers, len(numbers))
        return [tuple(numbers[j::jobs]) for j in range(jobs)]

    def submit(
        self, target: str, arguments: Sequence[Any], groups: Sequence[tuple[int, ...]]
    ) -> list[Future[Any]]:
        """A future for each group: ``target(*arguments, group)`` in a worker."""
        tasks = [(target, *arguments, group) for group in groups]
        if self.arrays and hasattr(self.executor, "submit_array"):
            found: list[Future[Any]] = self.executor.submit_array(self.run, tasks)
            return found
        return [self.executor.submit(self.run, *task) for task in tasks]


@contextmanager
def opened(config: ExecutorConfig, workers: int, folder: Path) -> Iterator[Pool]:
    """The backend that ``config`` names, open while the block runs; tasks left over are cancelled.

    Args:
        config: the table ``[executor]``.
        workers: how many; under MPI and on an existing dask cluster there are those there are.
        folder: where job files and logs may go.

    Raises:
        PdeinvError: the backend is not installed or cannot be reached.
    """
    with _backend(config, workers, folder) as pool:
        try:
            yield pool
        except BaseException:
            if config.name == "dask":  # cancels by itself, and knows no other way
                pool.executor.shutdown(wait=False)
            else:
                pool.executor.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _backend(config: ExecutorConfig, workers: int, folder: Path) -> Iterator[Pool]:
    if config.name == "process":
        with process_pool(workers) as processes:
            yield Pool(processes, workers)
    elif config.name == "mpi":
        from pdeinv.executors.mpi import call_in_rank, mpi_workers

        yield Pool(*mpi_workers(), run=call_in_rank)
    elif config.name == "dask":
        from pdeinv.executors.dask import dask_workers

        with dask_workers(config, workers) as (executor, n):
            yield Pool(executor, n)
    else:
        from pdeinv.executors.slurm import ArrayTask, JobArray

        with JobArray(config, workers, folder / "slurm") as jobs:
            yield Pool(jobs, workers, arrays=True, run=ArrayTask())
