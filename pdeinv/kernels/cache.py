"""Where compiled code is kept: a folder that only this user can write to, or one of this process.

Loading a library runs it: a folder or file that someone else could have written is not used.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folders", "own"]


def folders() -> Iterator[Path]:
    """Folders to keep compiled code in, the best first; each exists when it is given."""
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdeinv"
    if _usable(shared):
        yield shared
    private = Path(tempfile.mkdtemp(prefix="pdeinv-kernels-"))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    yield private


def own(path: Path) -> bool:
    """Whether a file or folder is this user's and nobody else can change it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    return own(folder) and os.access(folder, os.W_OK)
