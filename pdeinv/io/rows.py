"""Samples of a data set file read when they are asked for, so that a set need not fit in memory."""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError, reason
from pdeinv.io.names import spelled
from pdeinv.io.reading import parsed, unreadable
from pdeinv.typing import Array

__all__ = ["FileRows"]


class FileRows:
    """Rows of one variable of a NetCDF file as an array-like whose rows come as float64 arrays.

    ``rows[3]``, ``rows[2:9]``, ``rows[[5, 1, 5]]`` and ``rows[mask]`` read what they name and
    nothing else; ``np.asarray(rows)`` reads everything. The file is opened on first use, in every
    process anew, hence instances may travel to worker processes.
    """

    def __init__(self, path: Path, name: str, kept: NDArray[np.intp]) -> None:
        """Rows ``kept`` of variable ``name``."""
        self.path, self.name, self.kept = path.absolute(), name, kept

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRows, (self.path, self.name, self.kept)

    @cached_property
    def _variable(self) -> Any:
        import netCDF4

        try:
            with spelled(self.path) as file:
                found = netCDF4.Dataset(file, "r")
        except OSError as error:
            if self.path.exists():
                raise unreadable(self.path, error) from None
            raise DataSchemaError(
                f"{self.path} cannot be read any more ({reason(error)}); it must stay in place "
                "while it is used"
            ) from None
        # the library ends the process where it finds some files closed by nobody
        weakref.finalize(self, _close, found)
        return found[self.name]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.kept), *(int(n) for n in self._variable.shape[1:]))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """That of the rows handed out."""
        return np.dtype(np.float64)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * 8

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: Any) -> Array:
        """The rows that NumPy would give for an index along the first axis."""
        asked = np.asarray(self.kept[index])
        if asked.ndim == 0:
            return np.asarray(self._between(int(asked), int(asked) + 1)[0])
        return self._read(asked)

    def _between(self, first: int, last: int) -> Array:
        variable = self._variable
        with parsed(self.path, self._unreadable):
            values = variable[first:last].astype(np.float64)
            return np.asarray(np.ma.filled(values, np.nan))

    def _unreadable(self, kind: str) -> DataSchemaError:
        return DataSchemaError(
            f"{self.path}: variable '{self.name}' cannot be read ({kind}); write the file again"
        )

    def _read(self, asked: NDArray[np.intp]) -> Array:
        """Rows in any order, repeated or not: each is read once, neighbours together."""
        found, inverse = np.unique(asked, return_inverse=True)
        out = np.empty((len(found), *self.shape[1:]))
        cuts = np.flatnonzero(np.diff(found) != 1) + 1
        for run in np.split(np.arange(len(found)), cuts):
            if len(run):
                first = int(found[run[0]])
                out[run[0] : run[-1] + 1] = self._between(first, first + len(run))
        return (
            out if np.array_equal(found, asked) else np.asarray(out[inverse.reshape(asked.shape)])
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Everything, in memory."""
        return self._read(self.kept).astype(dtype or np.float64, copy=False)


def _close(file: Any) -> None:
    with suppress(RuntimeError):  # a damaged file does not close
        file.close()
