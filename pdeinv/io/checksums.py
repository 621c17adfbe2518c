"""Checksums of what is stored, so that a bit that flips on a disk is found when it is read.

HDF5 computes Fletcher's 32-bit sum of each chunk (filter "fletcher32") when it writes and compares
it when it reads; every library that reads NetCDF-4 does. Attributes, names and shapes stand in
headers of the second version, which NetCDF asks for and HDF5 gives sums of their own. Scalars and
variables of text have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["checksum", "with_checksums"]

CHUNK_BYTES = 1 << 20
"""A chunk is about as large: HDF5 keeps it in memory while it is looked at."""

_OTHERS = ("contiguous", "chunksizes", "original_shape", "preferred_chunks")
"""How values lay in the file that they were read from."""


def with_checksums(data: xr.Dataset) -> xr.Dataset:
    """The same, to be written with a checksum of each chunk of each array of numbers."""
    data = data.copy()
    for variable in data.variables.values():
        kept = {k: v for k, v in variable.encoding.items() if k not in _OTHERS}
        variable.encoding = kept | checksum(variable)
    return data


def checksum(variable: xr.Variable, chunk_bytes: int = CHUNK_BYTES) -> dict[str, Any]:
    """What xarray takes as ``encoding`` to write a variable with checksums; empty without."""
    if variable.dtype.kind not in "iufb" or variable.size == 0 or variable.ndim == 0:
        return {}
    return {"fletcher32": True, "chunksizes": _chunks(variable, chunk_bytes)}


def _chunks(variable: xr.Variable, chunk_bytes: int) -> tuple[int, ...]:
    """Whole rows of the last axes, as many as fit."""
    room, sizes = max(1, chunk_bytes // variable.dtype.itemsize), []
    for n in reversed(variable.shape):
        sizes.append(int(np.clip(room, 1, n)))
        room //= n
    return tuple(reversed(sizes))
