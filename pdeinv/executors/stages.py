"""Pools of processes for the stages of a run, which share one set of workers where it is kept.

A process of its own costs about a second to start and another to load the solver, more than many a
stage computes. What a stage builds in a worker is built when its first task comes there, and stays
for the next stage that asks for the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from typing import Any

from pdeinv.executors.processes import deaf_children, single_threaded, spawned, working

__all__ = ["kept_workers", "process_pool"]


def _nothing() -> None:
    """No preparation."""


_kept: _Kept | None = None
"""The workers of the run that goes on in this process, if it keeps them."""


@contextmanager
def kept_workers(workers: int) -> Iterator[None]:
    """While the block runs, every :func:`process_pool` uses the same processes.

    They start with the first pool that is asked for; one that died is replaced then.

    Args:
        workers: how many there are; pools that ask for more open their own.
    """
    global _kept
    before, _kept = _kept, _Kept(workers)
    try:
        yield
    finally:
        _kept.close()
        _kept = before


@contextmanager
def process_pool(
    workers: int,
    initializer: Callable[..., None] = _nothing,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Executor]:
    """Spawned processes that have called ``initializer``, which builds the model, before a task.

    Each uses one BLAS thread. Tasks that are still running at the end of the block are waited for.
    """
    if _kept is not None and workers <= _kept.workers:
        with _kept.stage(initializer, arguments) as stage:
            yield stage
        return
    with spawned(workers) as pool, _Stage(pool, initializer, arguments) as stage:
        yield stage


class _Kept:
    """Workers that outlive a stage."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._closing: Any = None

    @contextmanager
    def stage(
        self, initializer: Callable[..., None], arguments: tuple[Any, ...]
    ) -> Iterator[Executor]:
        """The workers for one stage; those of a broken pool are let go after it."""
        stage = _Stage(self._opened(), initializer, arguments)
        try:
            with stage:
                yield stage
        finally:
            if stage.broken:
                self.close()

    def _opened(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._closing = spawned(self.workers)
            self._pool = self._closing.__enter__()
        return self._pool

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._closing.__exit__(None, None, None)
            self._pool = None


class _Stage(Executor):
    """What one stage of a run sees of a pool: its own tasks, each after the stage's preparation."""

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> None:
        self._pool = pool
        self._name = f"{initializer.__module__}:{initializer.__qualname__}"
        self._built = bytes(ForkingPickler.dumps((initializer, arguments)))
        self._token = hashlib.sha256(self._built).hexdigest()
        self._tasks: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of any executor."""
        task = bytes(ForkingPickler.dumps((fn, args, kwargs)))
        with single_threaded(), deaf_children():  # the first tasks start the processes
            future = self._pool.submit(_work, self._name, self._token, self._built, task)
        self._tasks.append(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the stage's tasks end; the processes belong to the pool."""
        if cancel_futures:
            for task in self._tasks:
                task.cancel()
        if wait:
            _ended(self._tasks)

    @property
    def broken(self) -> bool:
        """Whether a process died, so that the pool takes no more tasks."""
        return any(
            isinstance(task.exception(), BrokenProcessPool)
            for task in self._tasks
            if task.done() and not task.cancelled()
        )


def _ended(tasks: list[Future[Any]]) -> None:
    wait(tasks)


_ready: dict[str, str] = {}
"""In a worker: what each initializer has built last."""


def _work(name: str, token: str, built: bytes, task: bytes) -> Any:
    """One task in a worker, after what it needs has been built."""
    with working():
        if _ready.get(name) != token:
            _ready.pop(name, None)
            initializer, arguments = ForkingPickler.loads(built)
            initializer(*arguments)
            _ready[name] = token
        fn, args, kwargs = ForkingPickler.loads(task)
        return fn(*args, **kwargs)
