"""Spawned processes with one BLAS thread each that leave signals to their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pdeinv.executors.task import THREADS

__all__ = ["leave_signals_to_the_parent", "process_pool", "single_threaded"]

GRACE_SECONDS = 20.0
"""How long a worker may take to finish its step after SIGTERM."""


@contextmanager
def single_threaded() -> Iterator[None]:
    """Environment in which child processes use one BLAS and OpenMP thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def leave_signals_to_the_parent() -> None:
    """Ignore what stops a run in good order.

    Schedulers signal all processes of a job, hence SIGTERM only sets a time limit; it must not be
    ignored, because the pool uses it to end the other workers when one has died.
    """
    for signum in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)


def _prepare(initializer: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Leave signals to the parent, follow it when it is gone, then build the model."""
    leave_signals_to_the_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    initializer(*arguments)


def _end_soon(signum: int, _: FrameType | None) -> None:
    timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + signum,))
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    """End this process when its parent is gone, so that a killed run leaves nobody writing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _nothing() -> None:
    """No preparation."""


@contextmanager
def process_pool(
    workers: int,
    initializer: Callable[..., None] = _nothing,
    arguments: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes; ``initializer`` runs once in each and builds the model there.

    Forking is unsafe once MPI has started, hence ``spawn``.
    """
    context = multiprocessing.get_context("spawn")
    with (
        single_threaded(),
        ProcessPoolExecutor(workers, context, _prepare, (initializer, arguments)) as pool,
    ):
        yield pool
