"""MPI ranks as workers of one another: rank 0 hands out tasks, the others carry them out.

Either every rank starts the program (``srun pdeinv ...``, ``mpiexec -n 8 pdeinv ...``) and enters
:func:`mpi_session` first, or mpi4py starts it on rank 0 alone (``mpiexec -n 8 python -m
mpi4py.futures -m pdeinv ...``). A worker's solvers use MPI.COMM_SELF.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any

from pdeinv import extras
from pdeinv.before_mpi import starting
from pdeinv.errors import ConfigError
from pdeinv.executors.processes import later, leave_signals_to_the_parent
from pdeinv.executors.task import call

__all__ = ["call_in_rank", "mpi_session", "mpi_workers"]

_executor: Executor | None = None
"""That of the session, on rank 0."""
_quiet = False


def call_in_rank(target: str, *arguments: Any) -> None:
    """:func:`pdeinv.executors.task.call` in a rank that leaves signals to rank 0."""
    global _quiet
    if not _quiet and threading.current_thread() is threading.main_thread():
        leave_signals_to_the_parent()
        _quiet = True
    call(target, *arguments)


@contextmanager
def mpi_session() -> Iterator[bool]:
    """Make the other ranks workers while the block runs on rank 0.

    Yields:
        True on rank 0; False, after all work is done, on the others, which have nothing to do then.

    Raises:
        ConfigError: there is one rank only.
        MissingDependency: mpi4py is not installed.
        SystemFault: there is too little shared memory, or too few files, to start MPI.
    """
    global _executor
    with ExitStack() as held:
        # a rank that left while another waits for it would be waited for in vain
        with later():
            executor = held.enter_context(_session())
        _executor = executor
        try:
            yield executor is not None
        except BaseException:
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            _executor = None


def _session() -> Any:
    """Rank 0 gets the executor, the others come back from here when all work is done."""
    try:
        with starting("--executor mpi needs"):
            from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except ImportError as error:
        raise extras.missing("mpi4py", "--executor mpi needs", error) from None
    if MPI.COMM_WORLD.size < 2:
        raise ConfigError(
            "--executor mpi needs at least 2 ranks; start it with mpiexec -n N or srun, "
            "or use --executor process"
        )
    return MPICommExecutor(MPI.COMM_WORLD, root=0)


def mpi_workers() -> tuple[Executor, int]:
    """The executor of the session and the number of its workers.

    Raises:
        ConfigError: no session is open here.
    """
    if _executor is None:
        raise ConfigError("executor mpi: enter pdeinv.executors.mpi.mpi_session first")
    from mpi4py import MPI

    return _executor, MPI.COMM_WORLD.size - 1
