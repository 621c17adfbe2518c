"""NetCDF files of others are read once by a process of its own: some end it, or never end.

HDF5 trusts what stands in its trees and heaps. A damaged one may be read from a wild address, or in
a circle for ever.
"""

from __future__ import annotations

import signal
from functools import lru_cache
from pathlib import Path

from pdeinv.errors import DataSchemaError
from pdeinv.io.seal import fits_seal
from pdeinv.own_process import in_own_process

__all__ = ["check_sound"]

SECONDS, BYTES_PER_SECOND = 5, 10_000_000
"""Processor time that a file may take: as it is, and for what it holds."""

_ENDS = (
    signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU,
)  # fmt: skip


def check_sound(path: Path) -> None:
    """Refuse a NetCDF file whose bytes changed since pdeinv wrote it, or that ends its reader.

    Raises:
        DataSchemaError: it does.
        OSError: it cannot be looked at.
    """
    found = path.stat()
    damage = _damage(path.absolute(), found.st_ino, found.st_size, found.st_mtime_ns)
    if damage:
        raise DataSchemaError(
            f"cannot read {path} as NetCDF-4; it is damaged ({damage}); write it again, or check "
            "the download"
        )


@lru_cache(maxsize=256)
def _damage(path: Path, _inode: int, size: int, _changed: int) -> str:
    """What is wrong with what a file holds now."""
    fits = fits_seal(path)
    if fits is None:
        return _try(path, SECONDS + size // BYTES_PER_SECOND)
    return "" if fits else "its bytes are not those that pdeinv wrote, by their CRC-32"


def _try(path: Path, seconds: int) -> str:
    """How reading a file ends a process, if it does."""
    words = str(path), str(seconds)
    done = in_own_process("pdeinv.io.trial_child", *words, what=f"try {path}")
    if -done.returncode not in _ENDS:
        return ""
    return f"the HDF5 library does not survive it, {signal.Signals(-done.returncode).name}"
