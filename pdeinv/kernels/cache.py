"""Where compiled code is kept: a folder that only this user can write to, or one of this process.

Loading a library runs it: a folder or file that someone else could have written is not used. One
that is not whole is not loaded either, which would end the process: a disk may have filled up, or a
machine stopped, while it was written.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import multiprocessing
import os
import shutil
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pdeinv.errors import SystemFault, reason
from pdeinv.user_cache import user_cache

__all__ = ["folders", "own", "shared", "trouble", "turn", "whole"]

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0
"""A lock that is held longer is broken, or its file system is."""

_PRIVATE = "_PDEINV_COMPILED"
"""The folder of a process, told to its workers: each would compile all of it again."""

LOW_BYTES = 1 << 24
"""With less than this a disk is too full to compile on."""

_HEADER = struct.Struct("=5s35xQ10xHH")
"""Of an ELF file: its mark, where its table of sections begins, their size and number."""

_ELF_64 = b"\x7fELF\x02"
"""Marks one of 64 bits."""


def folders() -> Iterator[Path]:
    """Folders to keep compiled code in, the best first; each exists when it is given.

    The second one is made when it is asked for. The first may be one that cannot be written to,
    and still hold what is needed.

    Raises:
        SystemFault: there is none.
    """
    place = shared()
    if _refused(place) is None:
        yield place
    yield _private()


def shared() -> Path:
    """The folder that runs share, whether it can be used or not."""
    return user_cache() / "pdeinv"


def trouble() -> str | None:
    """Why code that is compiled now cannot be kept for other runs; None where it can."""
    place = shared()
    found = _refused(place)
    if found is None and not os.access(place, os.W_OK):
        found = "it is not writable"
    if found is None and shutil.disk_usage(place).free < LOW_BYTES:
        found = f"only {shutil.disk_usage(place).free} bytes are free there"
    return found


def own(path: Path) -> bool:
    """Whether a file or folder is this user's and nobody else can change it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def whole(library: Path) -> bool:
    """Whether a library has its end, where that can be told; what is cut off ends the process."""
    with library.open("rb") as file:
        head = file.read(64)
        size = os.fstat(file.fileno()).st_size
    if len(head) < 64:
        return False
    mark, begin, each, count = _HEADER.unpack_from(head)
    return bool(mark != _ELF_64 or 0 < begin <= size - each * count)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """One process after the other, so that the first one compiles for all; for a while at most."""
    with (folder / "lock").open("a") as file:
        end = time.monotonic() + _PATIENCE_S
        while not _locked(file.fileno()) and time.monotonic() < end:
            time.sleep(0.05)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _refused(folder: Path) -> str | None:
    """Why nothing is taken from a folder, made where that is possible; None where it may be."""
    if not folder.is_absolute():
        return "there is no home folder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        return "it is no folder"
    except OSError as error:
        return (error.strerror or reason(error)).lower()
    return None if own(folder) else "others than its owner can write to it, or it is another user's"


@cache
def _private() -> Path:
    """A folder for this process and its workers, removed with it."""
    given = os.environ.get(_PRIVATE)
    if given and multiprocessing.parent_process() is not None and own(Path(given)):
        return Path(given)
    why, place = trouble() or "it cannot be used", shared()
    try:
        made = Path(tempfile.mkdtemp(prefix="pdeinv-compiled-"))
    except OSError as error:
        raise SystemFault(
            f"compiled code can be kept neither in {place} ({why}) nor in a temporary folder "
            f"({reason(error)}); set XDG_CACHE_HOME to a folder that you may write to"
        ) from error
    logger.warning(
        "compiled code cannot be kept in %s (%s): this run compiles for itself in %s; "
        "set XDG_CACHE_HOME to a folder on a local disk",
        place, why, made,
    )  # fmt: skip
    os.environ[_PRIVATE] = str(made)
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(folder: Path, owner: int) -> None:
    """Remove the folder, but not from a forked process."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
