"""How much memory there is, what cannot fit into it, and which errors say that it ran out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pdeinv.errors import ConfigError

__all__ = ["address_space", "capacity", "check_fits", "ran_out", "size_of"]

PHRASES = ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory",
           "std::bad_alloc", "failed to map segment")  # fmt: skip
"""What errors without a type of their own say: of torch, PETSc, C++ and the dynamic linker."""


def size_of(count: float) -> str:
    """Bytes in messages."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def check_fits(what: str, size: int, remedy: str) -> None:
    """Refuse what cannot fit into the memory of this machine, however much of it is free.

    Args:
        what: takes the memory, in words.
        size: bytes that it takes at least.
        remedy: what to do.

    Raises:
        ConfigError: with both sizes.
    """
    there = capacity()
    if size > there:
        raise ConfigError(
            f"{what} would take at least {size_of(size)} of memory, and this machine gives "
            f"{size_of(there)}; {remedy}"
        )


@cache
def capacity() -> int:
    """Bytes that this process could ever have: of the machine, its control group, its limits."""
    return min(_machine(), *_groups(), address_space() or _machine())


def _machine() -> int:
    """Memory and swap."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    swap = re.search(r"^SwapTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return pages + (1024 * int(swap[1]) if swap else 0)


def _groups() -> Iterator[int]:
    """The limits of the control groups that hold this process (Linux), of both versions."""
    for line in _text("/proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory") and "memory" not in kinds.split(","):
            continue
        root, name = (
            ("/sys/fs/cgroup", "memory.max")
            if kinds == ""
            else ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        )
        for folder in (Path(path), *Path(path).parents):
            found = _text(f"{root}{folder}/{name}").strip()
            if found.isdigit():
                yield int(found)


def address_space() -> int | None:
    """Bytes that ``ulimit -v`` allows this process; None where it sets no limit."""
    try:
        import resource
    except ImportError:  # a system without limits
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _text(file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, ValueError):
        return ""


def ran_out(error: BaseException) -> bool:
    """Whether ``error`` says that an allocation failed, on a GPU or on the CPU."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # torch.OutOfMemoryError is a RuntimeError; the CPU allocator has no type of its own
    told = isinstance(error, RuntimeError | OSError | ImportError)
    return told and any(phrase in str(error).lower() for phrase in PHRASES)
