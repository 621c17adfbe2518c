"""Every number in the outputs of a case, by name, without what has to differ between two runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Arrays = dict[str, NDArray[Any]]

LEFT_OUT = re.compile(
    r"seconds|speed_ratio|_FillValue|_Netcdf4|DIMENSION_LABELS"
    r"|metadata\.json:(problem_)?config/|[:_]seed$|json:(schema|format)$"
    r"|:(prior|estimates)/[xyzt]$"
)
"""Names (or parts) of times, bookkeeping of file formats, what the user set, and the places of a
field, which stand in the group `posterior` as well."""

KINDS = "biufc"
"""Kinds of numpy's dtypes that are numbers."""


def outputs(folder: Path) -> Arrays:
    """The arrays of all files that commands wrote to a folder, run folders left out."""
    found: Arrays = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".nc":
            found |= netcdf(path)
        elif path.suffix == ".vtkhdf":
            found |= vtkhdf(path)
        elif (path / "metadata.json").exists():
            found |= surrogate(path)
    return found


def surrogate(folder: Path) -> Arrays:
    """Weights and metadata of a trained surrogate, those of its members included."""
    found: Arrays = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder.parent).as_posix()
        if path.suffix == ".safetensors":
            found |= {f"{name}:{k}": v for k, v in load_file(path).items()}
        elif path.suffix == ".json":
            found |= numbers(json.loads(path.read_text()), name)
    return found


def netcdf(path: Path) -> Arrays:
    """Variables and attributes of all groups."""
    with netCDF4.Dataset(path) as root:
        root.set_auto_maskandscale(False)
        return kept(_group(root, f"{path.name}:"))


def _group(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in group.ncattrs():
        yield from _attribute(f"{prefix}@{name}", group.getncattr(name))
    for name, variable in group.variables.items():
        if not _counts(name, variable):
            yield f"{prefix}{name}", variable[...]
        for key in variable.ncattrs():
            yield from _attribute(f"{prefix}{name}@{key}", variable.getncattr(key))
    for name, child in group.groups.items():
        yield from _group(child, f"{prefix}{name}/")


def _counts(name: str, variable: Any) -> bool:
    """Whether a coordinate only numbers its dimension: 0, 1, 2, …"""
    if variable.dimensions != (name,) or np.dtype(variable.dtype).kind not in "iu":
        return False
    return np.array_equal(variable[...], np.arange(variable.size))


def _attribute(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """An attribute that is a JSON object counts as its numbers."""
    if isinstance(value, str) and value.startswith("{"):
        yield from numbers(json.loads(value), name).items()
    else:
        yield name, value


def vtkhdf(path: Path) -> Arrays:
    """Datasets of a ParaView file."""
    found: list[tuple[str, Any]] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, node: (
                found.append((f"{path.name}:{name}", node[()]))
                if isinstance(node, h5py.Dataset)
                else None
            )
        )
    return kept(iter(found))


def numbers(tree: Any, prefix: str) -> Arrays:
    """The numbers of a JSON value: lists of numbers as arrays, all else one by one."""
    return kept(_json(tree, f"{prefix}:"))


def _json(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _json(value, f"{name}{'' if name.endswith(':') else '/'}{key}")
    elif isinstance(tree, list) and not _is_array(tree):
        for i, value in enumerate(tree):
            yield from _json(value, f"{name}/{i}")
    elif tree is not None:
        yield name, tree


def _is_array(tree: list[Any]) -> bool:
    try:
        return np.asarray(tree).dtype.kind in KINDS
    except ValueError:
        return False


def kept(pairs: Iterator[tuple[str, Any]]) -> Arrays:
    """Those that are numbers and may be compared."""
    found = {name: np.asarray(value) for name, value in pairs}
    return {
        name: value
        for name, value in found.items()
        if value.dtype.kind in KINDS and value.size and not LEFT_OUT.search(name)
    }
