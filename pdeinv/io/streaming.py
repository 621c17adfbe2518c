"""Data set files written batch by batch, so that memory holds one batch whatever the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import RunFailed, reason
from pdeinv.io.atomic import atomic
from pdeinv.io.checksums import checksum, with_checksums
from pdeinv.io.names import spelled
from pdeinv.io.seal import seal

__all__ = ["write_stream"]

CHUNK_BYTES = 1 << 16
"""Samples share a chunk of the file up to this size, so that reading some of them reads little."""

CACHE_BYTES = 1 << 20
"""Of a variable while its samples are appended; the library's own default is as large as a file."""


def write_stream(
    path: Path,
    batches: Iterator[xr.Dataset],
    n: int,
    attrs: Mapping[str, Any],
    groups: Mapping[str, xr.Dataset],
) -> None:
    """Write datasets one behind the other along ``sample`` in one atomic step.

    Args:
        path: the NetCDF-4 file.
        batches: datasets of one layout; the first one's attributes are kept.
        n: samples in all, for the chunks.
        attrs: root attributes that only the whole set knows; read when ``batches`` has ended.
        groups: small datasets for groups of their own; read then.

    Raises:
        RunFailed: it cannot be written; nothing is left behind.
    """
    try:
        with atomic(path) as file, spelled(file) as target:
            first = next(batches)
            encoding = {str(k): _encoding(v, n) for k, v in first.variables.items()}
            first.to_netcdf(target, engine="netcdf4", unlimited_dims=["sample"], encoding=encoding)
            _append(target, first.sizes["sample"], batches, attrs)
            for name, group in groups.items():
                checked = with_checksums(group)
                checked.to_netcdf(target, mode="a", group=name, engine="netcdf4")
            seal(file)
    except RuntimeError as error:  # the library's own, where the disk is well
        raise RunFailed(f"cannot write {path}: {reason(error)}; try another folder") from error


def _encoding(variable: xr.Variable, n: int) -> dict[str, Any]:
    found = checksum(variable)
    if "sample" not in variable.dims:
        return found
    row = variable.dtype.itemsize * int(np.prod(variable.shape[1:], dtype=np.int64))
    rows = max(1, min(n, CHUNK_BYTES // max(row, 1)))
    return {**found, "chunksizes": (rows, *variable.shape[1:])}


def _append(
    file: Path, start: int, batches: Iterator[xr.Dataset], attrs: Mapping[str, Any]
) -> None:
    import netCDF4

    with netCDF4.Dataset(file, "a") as out:
        for stored in out.variables.values():
            if "sample" in stored.dimensions:
                stored.set_var_chunk_cache(size=CACHE_BYTES)
        for batch in batches:
            stop = start + batch.sizes["sample"]
            for name, variable in batch.variables.items():
                if "sample" in variable.dims:
                    out[str(name)][start:stop] = variable.values
            start = stop
        out.setncatts(dict(attrs))
