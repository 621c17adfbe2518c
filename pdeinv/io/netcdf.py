"""Open and write NetCDF-4 through xarray, with errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.errors import DataSchemaError, RunFailed, reason
from pdeinv.io.atomic import atomic
from pdeinv.io.missing import masked
from pdeinv.io.names import spelled
from pdeinv.io.reading import unreadable

__all__ = [
    "KIND",
    "check_kind",
    "kind_of",
    "opened_tree",
    "read_dataset",
    "read_tree",
    "write",
]

KIND = "pdeinv_kind"
"""The attribute of the root that says what a file is."""

_NUMBERS: dict[str, Any] = {"decode_times": False, "decode_timedelta": False}
"""Times stay the numbers that they are, and units say of what."""


def kind_of(tree: xr.DataTree) -> str:
    """What a file is: what it says, else what its layout shows."""
    said = tree.attrs.get(KIND)
    if said is not None:
        return str(said)
    if "posterior" in tree.children:
        return "result"
    measured = any(f"{name}_sigma" in tree.data_vars for name in tree.data_vars)
    known = tree.attrs.get("featureType") in ("point", "timeSeries")
    return "observations" if measured or known else "unknown"


def check_kind(attrs: Mapping[Any, Any], path: Path, verbs: Mapping[str, str]) -> None:
    """Refuse a file of another kind than expected.

    Args:
        attrs: of its root.
        path: named in the error.
        verbs: what writes the kinds that may be, by kind.

    Raises:
        DataSchemaError: with the kind that it has.
    """
    kind = attrs.get(KIND)
    if kind not in verbs:
        got = f"a file of kind '{kind}'" if kind else "a file that pdeinv did not write"
        wanted = " or ".join(f"'pdeinv {verb}'" for verb in verbs.values())
        raise DataSchemaError(f"{path}: expected the output of {wanted}, got {got}")


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise DataSchemaError(f"no such file: {path}")
    if not path.is_file():
        raise DataSchemaError(f"{path} is not a file; expected NetCDF")


def read_dataset(path: Path) -> xr.Dataset:
    """The root group of a NetCDF file, loaded into memory; times and dates stay numbers.

    What is missing by the conventions of :mod:`pdeinv.io.missing` is NaN.

    Raises:
        DataSchemaError: missing, truncated or not NetCDF.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    _check_readable(path)
    try:
        with spelled(path) as file, xr.open_dataset(file, engine="netcdf4", **_NUMBERS) as dataset:
            loaded = dataset.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from None
    return _masked(loaded, path)


def _masked(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    try:
        return masked(dataset)
    except DataSchemaError as error:
        raise DataSchemaError(f"{path}: {error}") from None


def read_tree(path: Path) -> xr.DataTree:
    """All groups of a NetCDF file, loaded into memory, with NaN as :func:`read_dataset` has it.

    Raises:
        DataSchemaError: missing, truncated or not NetCDF.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    with opened_tree(path) as tree:
        tree.load()
    groups = {n.path: _masked(n.to_dataset(inherit=False), path) for n in tree.subtree}
    return xr.DataTree.from_dict(groups)


@contextmanager
def opened_tree(path: Path) -> Iterator[xr.DataTree]:
    """All groups of a NetCDF file, open while the block runs and read only where looked at.

    Raises:
        DataSchemaError: missing, truncated or not NetCDF.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    _check_readable(path)
    try:
        with spelled(path) as file, xr.open_datatree(file, engine="netcdf4", **_NUMBERS) as tree:
            yield tree
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from None


def write(path: Path, data: xr.Dataset | xr.DataTree) -> None:
    """Write a dataset or tree in one atomic step.

    Raises:
        RunFailed: it cannot be written; nothing is left behind.
    """
    try:
        with atomic(path) as target, spelled(target) as file:
            data.to_netcdf(file, engine="netcdf4")
    except RuntimeError as error:  # the library's own, where the disk is well
        raise RunFailed(f"cannot write {path}: {reason(error)}; try another folder") from error
