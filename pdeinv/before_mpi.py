"""What MPI needs before it starts: where it is short of it, it ends the process without a word.

MPICH takes 1,061,440 bytes of shared memory for each rank on a machine. Where 16 MiB are free, its
library UCX takes another 4.3 MB for each, through what it calls "posix". It looks twice whether
they are, takes 36,864 bytes in between, and ends the process where they no longer are.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pdeinv.errors import SystemFault
from pdeinv.launchers import is_rank, local_ranks
from pdeinv.memory import size_of
from pdeinv.system_errors import SHARED, cannot, file_limit, free_bytes, limit_of

__all__ = ["require_files", "require_shared_memory", "starting"]

RANK_BYTES = 17 << 16
"""Of shared memory for one rank, rounded up."""

MORE_BYTES = 15 << 16
"""For all together, to be sure."""

ROOMY_BYTES = 6 << 20
"""For one rank, above the 16 MiB from which on UCX takes shared memory too."""

RECENT = 60.0
"""Seconds within which all ranks start."""

FILES = 16
"""That MPI opens when it starts, and some more."""


@contextmanager
def starting(needs: str) -> Iterator[None]:
    """Start MPI within: refused where it would end the process, and told what it needs to know.

    Where no launcher has started the process, it talks to nobody: no port is opened to the network,
    and no memory shared. What the user has set is kept. Programs that are started later hear of
    nothing: ranks among them could not reach each other.

    Args:
        needs: who needs it, "the finite-element solver needs" say.

    Raises:
        SystemFault: there is too little shared memory, or too few files may be opened.
    """
    require_shared_memory(needs, local_ranks())
    require_files(needs)
    told = {name: value for name, value in _settings().items() if name not in os.environ}
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name, None)


def _settings() -> dict[str, str]:
    if not is_rank():
        return {"UCX_TLS": "self", "FI_TCP_IFACE": "lo"}
    return {"UCX_TLS": "^posix"} if _tight() else {}


def _tight() -> bool:
    """Whether so little shared memory is left that UCX had better not look for it."""
    linux = sys.platform.startswith("linux")
    return linux and _free_for_ranks() < (16 << 20) + ROOMY_BYTES * local_ranks()


def _free_for_ranks() -> int:
    """Bytes of shared memory that are free, or held by ranks: some begin before others look.

    A rank that refused to begin would be waited for by those that did.
    """
    return free_bytes(SHARED) + (_held_by_ranks() if is_rank() else 0)


def _held_by_ranks() -> int:
    held = 0
    for file in SHARED.glob("mpich_shm_*"):
        with suppress(OSError):  # gone meanwhile
            found = file.stat()
            # those of ranks that were killed stay for ever
            held += 512 * found.st_blocks * (time.time() - found.st_mtime < RECENT)
    return held


def require_shared_memory(needs: str, ranks: int = 1) -> None:
    """Refuse to begin where processes could not share memory.

    Args:
        needs: who needs it, "workers need" say.
        ranks: of MPI, on this machine.

    Raises:
        SystemFault: /dev/shm is full, too small or not writable.
    """
    if not sys.platform.startswith("linux"):
        return
    size = RANK_BYTES * ranks + MORE_BYTES
    said = f"{needs} {size_of(size)} of shared memory"
    largest = limit_of("RLIMIT_FSIZE")
    if largest is not None and largest < size:  # it is a file there
        raise SystemFault(f"{said}, larger than {file_limit()}")
    if not os.access(SHARED, os.W_OK):
        why = "is not writable" if SHARED.is_dir() else "is missing"
    elif (free := _free_for_ranks()) < size:
        why = f"has {size_of(free)} left"
    else:
        return
    raise SystemFault(
        f"{said}, and {SHARED} {why}; free some there, or give the container more "
        "('docker run --shm-size 1g')"
    )


def require_files(needs: str) -> None:
    """Refuse to begin where too few files may be opened.

    Args:
        needs: who needs them.

    Raises:
        SystemFault: fewer than that may be opened yet.
    """
    held: list[int] = []
    try:
        held += (os.open(os.devnull, os.O_RDONLY) for _ in range(FILES))
    except OSError as error:
        raise SystemFault(
            f"{needs} {FILES} more open files; {cannot('open', None, error)}"
        ) from error
    finally:
        for descriptor in held:
            os.close(descriptor)
