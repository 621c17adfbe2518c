"""What mpiexec and srun tell a process of its place among others, by variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["environment", "is_rank", "local_ranks", "without_rank"]

LAUNCHER = re.compile(
    r"(PMI|PMIX|HYDI|HYDRA|OMPI|MPI_LOCAL|MV2_COMM_WORLD|PRTE|ORTE|PALS)_?\w*"
    r"|SLURM_(STEP|TASK|SRUN)\w*|SLURM_(PROCID|LOCALID|NODEID|NTASKS|NPROCS|GTIDS|MPI_TYPE)"
)
"""Variables by which mpiexec and srun tell a process which rank it is."""

RANKS_HERE = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE")
"""Variables whose first number counts the ranks of a machine."""


@contextmanager
def environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Variables set, or taken away where None, while the block runs."""
    before = {name: os.environ.get(name) for name in changes}
    _put(changes)
    try:
        yield
    finally:
        _put(before)


def _put(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def is_rank(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher has started this process."""
    return any(LAUNCHER.fullmatch(name) for name in environ)


def local_ranks(environ: Mapping[str, str] = os.environ) -> int:
    """How many processes a launcher has started on this machine; 1 where it does not tell."""
    found = (re.match(r"\d+", environ.get(name, "")) for name in RANKS_HERE)
    return next((int(number[0]) for number in found if number), 1)


@contextmanager
def without_rank() -> Iterator[None]:
    """Environment in which child processes are no ranks of MPI or Slurm.

    Below mpiexec or srun they would take themselves for the rank that started them, and MPI would
    wait for ever, or end them.
    """
    with environment({name: None for name in os.environ if LAUNCHER.fullmatch(name)}):
        yield
