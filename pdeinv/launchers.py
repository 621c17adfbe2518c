"""What mpiexec and srun tell a process of its place among others, by variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["environment", "is_rank", "keep_to_yourself", "without_rank"]

LAUNCHER = re.compile(
    r"(PMI|PMIX|HYDI|HYDRA|OMPI|MPI_LOCAL|MV2_COMM_WORLD|PRTE|ORTE|PALS)_?\w*"
    r"|SLURM_(STEP|TASK|SRUN)\w*|SLURM_(PROCID|LOCALID|NODEID|NTASKS|NPROCS|GTIDS|MPI_TYPE)"
)
"""Variables by which mpiexec and srun tell a process which rank it is."""


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


def keep_to_yourself() -> None:
    """Let MPI open no port to the network in a process that no launcher has started.

    It talks to nobody. To be called before MPI is loaded; what the user has set is kept.
    """
    if not is_rank():
        os.environ.setdefault("UCX_TLS", "self,sm")
        os.environ.setdefault("FI_TCP_IFACE", "lo")


@contextmanager
def without_rank() -> Iterator[None]:
    """Environment in which child processes are no ranks of MPI or Slurm.

    Below mpiexec or srun they would take themselves for the rank that started them, and MPI would
    wait for ever, or end them.
    """
    with environment({name: None for name in os.environ if LAUNCHER.fullmatch(name)}):
        yield
