"""Spawned processes with one BLAS thread each that leave signals to their parent."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType, ModuleType
from typing import Any

from pdeinv.before_mpi import require_shared_memory
from pdeinv.executors.task import THREADS
from pdeinv.launchers import environment, without_rank
from pdeinv.memory import check_fits

__all__ = [
    "check_workers",
    "deaf_children",
    "hear",
    "later",
    "leave_signals_to_the_parent",
    "postpone",
    "protect_tracker",
    "single_threaded",
    "spawned",
    "working",
]

GRACE_SECONDS = 20.0
"""How long a worker may take to finish its task after SIGTERM."""
IDLE_SECONDS = 0.5
"""How long it stays without one; its parent may still be reading the last result."""


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""What asks a run to stop; schedulers and terminals send it to every process of the run."""


@contextmanager
def later() -> Iterator[None]:
    """Signals that come while the block runs arrive at its end."""
    came, before = list[int](), dict[int, Any]()
    if threading.current_thread() is not threading.main_thread():  # which alone gets them
        yield
        return
    try:
        for signum in STOPS:
            before[signum] = signal.signal(signum, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


BYTES_PER_WORKER = 20_000_000
"""Memory that a process needs for itself before it computes anything, at least."""


def check_workers(workers: int, option: str = "workers") -> None:
    """Refuse more processes than this machine can hold.

    Raises:
        ConfigError: with the memory that they would take.
    """
    what = f"{option}: {workers} processes"
    check_fits(what, BYTES_PER_WORKER * workers, "take no more than there are cores")


@contextmanager
def single_threaded() -> Iterator[None]:
    """Environment in which child processes use one BLAS and OpenMP thread, and are no ranks."""
    with without_rank(), environment(dict.fromkeys(THREADS, "1")):
        yield


@contextmanager
def deaf_children() -> Iterator[None]:
    """Child processes that start in the block hear no signal of :data:`STOPS` before :func:`hear`.

    Else one would end a child that has not said yet what to do then. This process hears them after
    the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear() -> None:
    """Hear what a process was deaf to when it started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def leave_signals_to_the_parent() -> None:
    """Ignore what stops a run in good order.

    Schedulers signal all processes of a job, hence SIGTERM only sets a time limit; it must not be
    ignored, because the pool uses it to end the other workers when one has died.
    """
    for signum in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)
    hear()


def protect_tracker() -> None:
    """Start Python's tracker of shared names, which would die of a SIGUSR1 to a whole job.

    It ignores SIGINT and SIGTERM by itself, and inherits what is blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    """Leave signals to the parent and follow it when it is gone."""
    leave_signals_to_the_parent()
    signal.signal(signal.SIGTERM, _end_when_idle)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    postpone("xarray")


_tasks = [0, 0]
"""Tasks of this worker that have begun, and that have ended."""


@contextmanager
def working() -> Iterator[None]:
    """A task in a worker, which SIGTERM lets come to its end."""
    _tasks[0] += 1
    try:
        yield
    finally:
        _tasks[1] += 1


def _end_soon(signum: int, _: FrameType | None) -> None:
    timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + signum,))
    timer.daemon = True
    timer.start()


def _end_when_idle(signum: int, _: FrameType | None) -> None:
    threading.Thread(target=_wait_for_idleness, args=(128 + signum,), daemon=True).start()


def _wait_for_idleness(code: int) -> None:
    """End this worker when it has had no task for a moment, or the grace is over."""
    end = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < end:
        before = tuple(_tasks)
        time.sleep(IDLE_SECONDS)
        if before[0] == before[1] and before == tuple(_tasks):
            break
    os._exit(code)


def _end_with_parent() -> None:
    """End this process when its parent is gone, so that a killed run leaves nobody writing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Postponed(ModuleType):
    """A module that is loaded when something of it is used.

    The LazyLoader of Python 3.12 does not survive a second import statement, which asks for
    ``__spec__``.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = importlib.import_module(self.__name__)
        vars(self).update(vars(module))
        return getattr(module, name)


def postpone(name: str) -> None:
    """Load a module when something of it is used: a worker that reads no file needs no xarray.

    It has its ``__spec__`` from the start: ``importlib.util.find_spec``, by which torch's compiler
    asks what is installed, takes a module without one for a broken one.
    """
    if name not in sys.modules:
        module = _Postponed(name)
        module.__spec__ = importlib.util.find_spec(name)
        sys.modules[name] = module


@contextmanager
def spawned(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes, which start with the first task, in the environment of then.

    Forking is unsafe once MPI has started, hence ``spawn``.

    Raises:
        SystemFault: there is too little shared memory for their locks.
    """
    require_shared_memory("workers need")
    protect_tracker()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare) as pool:
        yield pool
