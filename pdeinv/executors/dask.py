"""A dask.distributed cluster as an executor: an existing scheduler, or local processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from pdeinv import extras
from pdeinv.errors import RunFailed, reason
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.processes import single_threaded

__all__ = ["dask_workers"]


@contextmanager
def dask_workers(config: ExecutorConfig, workers: int) -> Iterator[tuple[Executor, int]]:
    """The executor of a cluster and the number of its workers.

    Raises:
        MissingDependency: distributed is not installed.
        RunFailed: the scheduler does not answer.
    """
    distributed = extras.load("distributed", "--executor dask needs")
    if config.scheduler is not None:
        try:
            client = distributed.Client(config.scheduler, timeout="30s", set_as_default=False)
        except OSError as error:
            raise RunFailed(
                f"dask scheduler {config.scheduler} does not answer ({reason(error)}); check "
                "executor.scheduler"
            ) from None
        with client:
            yield client.get_executor(pure=False), max(1, len(client.scheduler_info()["workers"]))
        return
    with (
        single_threaded(),
        distributed.LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client.get_executor(pure=False), workers
