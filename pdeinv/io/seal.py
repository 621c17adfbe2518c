"""The sum of all bytes of a file, behind its last one, so that any bit that flips is found.

HDF5 ends where its header says, and readers leave alone what comes after; a library that changes
the file cuts it off. A file is then one without a seal, as those that others wrote.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

__all__ = ["fits_seal", "has_seal", "seal"]

_SEAL = re.compile(rb"\npdeinv-crc32 ([0-9a-f]{8})\n")
LENGTH = len(b"\npdeinv-crc32 00000000\n")
BLOCK = 1 << 20
"""Bytes that are read at once."""


def seal(path: Path) -> None:
    """Append the sum of what a file holds."""
    with path.open("r+b") as file:
        found = _sum(file, path.stat().st_size)
        file.write(b"\npdeinv-crc32 %08x\n" % found)


def has_seal(path: Path) -> bool:
    """Whether a file ends with a seal, right or wrong.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _said(file) is not None


def fits_seal(path: Path) -> bool | None:
    """Whether a file is what its seal says; None where it has no seal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        said = _said(file)
        if said is None:
            return None
        size = file.tell() - LENGTH
        file.seek(0)
        return _sum(file, size) == said


def _said(file: BinaryIO) -> int | None:
    """The sum at the end of a file, which is left there."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - LENGTH))
    found = _SEAL.fullmatch(file.read(LENGTH))
    return None if found is None else int(found[1], 16)


def _sum(file: BinaryIO, size: int) -> int:
    """CRC-32 of the next bytes."""
    found = 0
    while size > 0:
        block = file.read(min(size, BLOCK))
        if not block:
            break
        found, size = zlib.crc32(block, found), size - len(block)
    return found
