"""Named arrays as an npz file, written in one step and never with a pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pdeinv.errors import PdeinvError
from pdeinv.io.atomic import atomic
from pdeinv.io.reading import refused

__all__ = ["opened_arrays", "write_arrays"]


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

    Raises:
        PdeinvError: missing, damaged, or without what the block looks for; what ``refusal`` makes
            of the kind of damage.
    """
    try:
        # Opened here: np.load leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise refused(path, error) or refusal(type(error).__name__) from None
