"""Where compiled code is kept: a folder that only this user can write to, or one of this process.

Loading a library runs it: a folder or file that someone else could have written is not used.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdeinv.user_cache import user_cache

__all__ = ["folders", "own", "turn"]

_PATIENCE_S = 60.0
"""A lock that is held longer is broken, or its file system is."""


def folders() -> Iterator[Path]:
    """Folders to keep compiled code in, the best first; each exists when it is given."""
    shared = user_cache() / "pdeinv"
    if shared.is_absolute() and _usable(shared):
        yield shared
    try:
        private = Path(tempfile.mkdtemp(prefix="pdeinv-kernels-"))
    except OSError:
        return
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    yield private


def own(path: Path) -> bool:
    """Whether a file or folder is this user's and nobody else can change it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


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


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return own(folder) and os.access(folder, os.W_OK)
