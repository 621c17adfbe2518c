"""File names that are no text: bytes that the file system's encoding does not know."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["spelled"]


@contextmanager
def spelled(path: Path) -> Iterator[Path]:
    """A name of the same file that the NetCDF library takes, for the block: it wants text.

    The file may be read or be about to be written.
    """
    if _is_text(path):
        yield path
        return
    with TemporaryDirectory(prefix="pdeinv") as folder:
        link = Path(folder, "link")
        link.symlink_to(path.absolute())
        yield link


def _is_text(path: Path) -> bool:
    try:
        os.fspath(path).encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        return False
    return True
