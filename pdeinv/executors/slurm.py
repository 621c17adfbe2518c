"""Slurm job arrays through submitit, as an executor.

submitit stores each task and its log in a folder that all nodes see, submits one array, and asks
the scheduler how the tasks fare. A task that reaches its time limit is put into the queue again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from pdeinv import extras
from pdeinv.errors import RunFailed, reason
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.task import call

__all__ = ["ArrayTask", "JobArray"]

POLL_SECONDS = {"slurm": 10.0, "local": 0.2}
"""Time between two looks at the jobs; submitit asks Slurm itself at most once a minute."""


class ArrayTask:
    """A task that may be started again: what it has written it does not do twice."""

    def __call__(self, *arguments: Any) -> None:
        """Carry it out."""
        call(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        """The same task again, as submitit asks for it at a time limit or preemption."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


class JobArray(Executor):
    """Tasks as jobs of one array; at most ``workers`` run at a time."""

    def __init__(self, config: ExecutorConfig, workers: int, folder: Path) -> None:
        self._submitter = _submitter(config, workers, folder)
        self._forgets = config.cluster == "slurm"
        self._every = POLL_SECONDS[config.cluster]
        self._running: dict[Future[None], Any] = {}
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """An array of one job."""
        return self.submit_array(fn, [args])[0]

    def submit_array(
        self, fn: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Future[Any]]:
        """One array; one job for each tuple of arguments."""
        jobs = self._submitter.map_array(fn, *zip(*arguments, strict=True))
        futures: list[Future[Any]] = [Future() for _ in jobs]
        for future in futures:
            future.set_running_or_notify_cancel()
        with self._lock:
            self._running |= dict(zip(futures, jobs, strict=True))
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        return futures

    def _watch(self) -> None:
        """Hand finished jobs to their futures until none is left."""
        while True:
            for future, job in list(self._running.items()):
                if job.done():
                    _settle(future, job)
                    self._running.pop(future, None)
            with self._lock:
                if not self._running:
                    self._watcher = None
                    return
            time.sleep(self._every)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the jobs that are left, if asked to, without waiting for Slurm to say so."""
        running = dict(self._running)
        if cancel_futures:
            for job in running.values():
                job.cancel(check=False)
            if self._forgets:
                self._running.clear()
        watcher = self._watcher
        if wait and watcher is not None:
            watcher.join()


def _settle(future: Future[Any], job: Any) -> None:
    try:
        future.set_result(job.result())
    except Exception as error:  # submitit wraps whatever went wrong there
        last = str(error).strip().splitlines()
        future.set_exception(
            RunFailed(
                f"array task {job.job_id} failed ({last[-1] if last else reason(error)}); its log "
                f"is {job.paths.stderr}; finished batches are kept, continue with "
                "--resume"
            )
        )


def _submitter(config: ExecutorConfig, workers: int, folder: Path) -> Any:
    submitit = extras.load("submitit", "--executor slurm needs")
    try:
        made = submitit.AutoExecutor(folder=folder, cluster=config.cluster)
    except RuntimeError as error:
        raise RunFailed(
            f"Slurm cannot be reached ({reason(error)}); run this where sbatch works, or set "
            "executor.cluster to 'local'"
        ) from None
    asked: dict[str, Any] = {
        "name": "pdeinv",
        "timeout_min": config.time,
        "cpus_per_task": config.cpus,
        **({} if config.memory is None else {"mem_gb": config.memory}),
    }
    if config.cluster == "slurm":
        own = {"partition": config.partition, "account": config.account}
        more = {k: v for k, v in own.items() if v is not None} | config.parameters
        asked |= {
            "slurm_array_parallelism": workers,
            "slurm_setup": list(config.setup),
            "slurm_additional_parameters": more,
        }
    made.update_parameters(**asked)
    return made
