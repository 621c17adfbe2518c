"""One array of numbers, as ``numpy.save`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.io.arrays import check_npy
from pdeinv.io.reading import parsed

__all__ = ["read_npy"]


def read_npy(path: Path, what: str, kinds: str = "fiu") -> NDArray[Any]:
    """The array, which stays in its file until it is looked at.

    Args:
        path: of the file.
        what: it should hold, for the message.
        kinds: of numbers that are taken, as numpy's letters.

    Raises:
        DataSchemaError: no such file, or not one of such numbers.
        SystemFault: the disk or a limit refuses it.
    """

    def refusal(kind: str) -> DataSchemaError:
        return DataSchemaError(
            f"{path}: no array of numbers as numpy.save writes one ({kind}); save {what} as one "
            "array of floats"
        )

    with parsed(path, refusal):
        check_npy(path)
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.dtype.kind not in kinds:
        raise DataSchemaError(
            f"{path}: expected numbers, got {found.dtype}; save {what} as one array of floats"
        )
    return found
