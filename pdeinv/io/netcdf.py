"""Open and write NetCDF-4 through xarray, with errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.errors import DataSchemaError, RunFailed, reason
from pdeinv.foreign import Unreadable, check_regular
from pdeinv.io.atomic import atomic
from pdeinv.io.checksums import with_checksums
from pdeinv.io.declared import as_text, check_attributes, groups_of, unread
from pdeinv.io.missing import UNREAD, masked
from pdeinv.io.names import spelled
from pdeinv.io.reading import not_netcdf, parsed, unreadable
from pdeinv.io.seal import seal
from pdeinv.io.trial import check_sound

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
    try:
        check_regular(path)
    except FileNotFoundError:
        raise DataSchemaError(f"no such file: {path}") from None
    except Unreadable as error:
        raise DataSchemaError(f"{path} {error}") from None
    except OSError as error:
        raise unreadable(path, error) from None


def read_dataset(path: Path) -> xr.Dataset:
    """The root group of a NetCDF file, loaded into memory; times and dates stay numbers.

    What is missing by the conventions of :mod:`pdeinv.io.missing` is NaN. A variable that declares
    more than there is memory for is left in the file and refused where it is asked for.

    Raises:
        DataSchemaError: missing, truncated, not NetCDF, or with attributes of a wrong type.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    with _opened(path, lazily=False) as groups, _parsed(path):
        dataset = _loaded(groups["/"])
    return _masked(dataset, path)


def _masked(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    try:
        return masked(dataset)
    except DataSchemaError as error:
        raise DataSchemaError(f"{path}: {error}") from None


def read_tree(path: Path) -> xr.DataTree:
    """All groups of a NetCDF file, loaded into memory, as :func:`read_dataset` has one.

    Raises:
        DataSchemaError: missing, truncated, not NetCDF, or with attributes of a wrong type.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    with _opened(path, lazily=False) as groups, _parsed(path):
        loaded = {name: _loaded(group) for name, group in groups.items()}
    with _parsed(path):
        return xr.DataTree.from_dict({name: _masked(d, path) for name, d in loaded.items()})


@contextmanager
def opened_tree(path: Path) -> Iterator[xr.DataTree]:
    """All groups of a NetCDF file, open while the block runs and read only where looked at.

    Raises:
        DataSchemaError: missing, truncated, not NetCDF, or with attributes of a wrong type.
        SystemFault: locked, or the disk or a limit refuses it.
    """
    with _opened(path, lazily=True) as groups:
        with _parsed(path):
            tree = xr.DataTree.from_dict(dict(groups))
        try:
            yield tree
        except (OSError, RuntimeError) as error:
            raise unreadable(path, error) from None


@contextmanager
def _opened(path: Path, *, lazily: bool) -> Iterator[dict[str, xr.Dataset]]:
    """The groups of a file whose declarations are sound, by their paths."""
    import netCDF4

    _check_readable(path)
    with _parsed(path), spelled(path) as file:
        check_sound(path)
        raw = netCDF4.Dataset(str(file), "r")
    try:
        with _parsed(path):
            found = _groups(raw, path, lazily)
        yield found
    finally:
        with suppress(RuntimeError):  # a damaged file does not close
            raw.close()


def _groups(raw: Any, path: Path, lazily: bool) -> dict[str, xr.Dataset]:
    try:
        groups = list(groups_of(raw))
        for group in groups:
            check_attributes(group)
    except DataSchemaError as error:
        raise DataSchemaError(f"{path}: {error}") from None
    left = unread(groups, path.stat().st_size, lazily=lazily)
    found = {}
    for group in groups:
        mine = {n: f"{path}: {text}" for (g, n), text in left.items() if g == group.path}
        found[group.path] = _decoded(group, mine)
        found[group.path].encoding["source"] = str(path)
    return found


def _decoded(group: Any, left: Mapping[str, str]) -> xr.Dataset:
    """One group by the conventions that xarray knows, without the values of ``left``."""
    from pdeinv.io.left_in_file import left_in_file  # which loads xarray

    store: Any = xr.backends.NetCDF4DataStore(group)  # type: ignore[no-untyped-call]
    dataset = xr.open_dataset(store, drop_variables=list(left), **_NUMBERS)
    for variable in dataset.variables.values():
        as_text(variable.attrs)
    named = {name: left_in_file(group.variables[name], text) for name, text in left.items()}
    own = {n: v for n, v in named.items() if n in group.dimensions}
    dataset = dataset.assign({n: v for n, v in named.items() if n not in own})
    # without an index, which would be made of its values
    return dataset.assign_coords(xr.Coordinates(own, indexes={}))


def _loaded(dataset: xr.Dataset) -> xr.Dataset:
    for variable in dataset.variables.values():
        if UNREAD not in variable.encoding:
            variable.load()
    return dataset


def _parsed(path: Path) -> AbstractContextManager[None]:
    """Whatever the libraries raise on a file, as one line; the block holds calls of them alone."""
    return parsed(path, lambda _: not_netcdf(path))


def _checked(data: xr.Dataset | xr.DataTree) -> xr.Dataset | xr.DataTree:
    if isinstance(data, xr.Dataset):
        return with_checksums(data)
    nodes = {node.path: with_checksums(node.to_dataset(inherit=False)) for node in data.subtree}
    return xr.DataTree.from_dict(nodes)


def write(path: Path, data: xr.Dataset | xr.DataTree) -> None:
    """Write a dataset or tree in one atomic step, its numbers with checksums.

    Raises:
        RunFailed: it cannot be written; nothing is left behind.
    """
    try:
        with atomic(path) as target, spelled(target) as file:
            _checked(data).to_netcdf(file, engine="netcdf4")
            seal(target)
    except RuntimeError as error:  # the library's own, where the disk is well
        raise RunFailed(f"cannot write {path}: {reason(error)}; try another folder") from error
