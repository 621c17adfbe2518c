"""Named arrays as an npz file, written in one step and never with a pickle."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from pdeinv.errors import PdeinvError
from pdeinv.foreign import Unreadable, check_regular, memory
from pdeinv.io.atomic import atomic
from pdeinv.io.reading import refused
from pdeinv.memory import size_of

__all__ = ["DAMAGE", "check_npy", "opened_arrays", "write_arrays"]

DAMAGE = (
    ArithmeticError, AttributeError, BadZipFile, EOFError, LookupError, MemoryError,
    NotImplementedError, OSError, RecursionError, SyntaxError, TypeError, ValueError, struct.error,
    zlib.error,
)  # fmt: skip
"""What reading truncated or foreign arrays may raise."""


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays, or what NumPy makes arrays of, by name.

    Raises:
        RunFailed: the disk is full or not writable; nothing is left behind.
    """
    with atomic(path) as target, target.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


@contextmanager
def opened_arrays(path: Path, refusal: Callable[[str], PdeinvError]) -> Iterator[Any]:
    """The arrays by name, open while the block takes what it needs of them.

    What their headers declare is checked against the file before any array is made.

    Raises:
        PdeinvError: missing, damaged, or without what the block looks for; what ``refusal`` makes
            of the kind of damage.
    """
    try:
        check_regular(path)
        # Opened here: np.load leaves a damaged file open.
        with path.open("rb") as stream:
            _check_archive(stream)
            with np.load(stream, allow_pickle=False) as arrays:
                yield arrays
    except Unreadable as error:
        raise refusal(str(error)) from None
    except DAMAGE as error:
        raise refused(path, error) or refusal(type(error).__name__) from None


def _check_archive(stream: IO[bytes]) -> None:
    """Refuse an archive whose members declare more than they hold, or than there is memory for.

    Raises:
        Unreadable: it does.
    """
    with ZipFile(stream) as archive:
        members = archive.infolist()
        total, room = sum(m.file_size for m in members), memory()
        if total > room:
            raise Unreadable(f"declares {size_of(total)}; there is memory for {size_of(room)}")
        for member in members:
            with archive.open(member) as held:
                _check_declared(held, member.file_size)
    stream.seek(0)


def check_npy(path: Path) -> None:
    """Refuse an array file whose header declares more than the file holds.

    Raises:
        Unreadable: no regular file, no array of numbers or text, or a header that lies.
        OSError: missing, or may not be read.
        ValueError: no header.
    """
    check_regular(path)
    with path.open("rb") as stream:
        _check_declared(stream, path.stat().st_size)


def _check_declared(stream: IO[bytes], size: int) -> None:
    form = np.lib.format
    version = form.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise Unreadable(f"holds an array of version {version}, expected 1.0 or 2.0")
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise Unreadable("holds Python objects, expected numbers or text")
    declared, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if declared != held:
        raise Unreadable(
            f"declares an array of {size_of(max(declared, 0))} and holds {size_of(max(held, 0))}"
        )
