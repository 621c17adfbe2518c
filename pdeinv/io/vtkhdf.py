"""Fields on a mesh as VTKHDF, which ParaView and PyVista open directly.

Format: VTK file formats documentation, "VTKHDF", UnstructuredGrid, version 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv import extras
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.atomic import atomic
from pdeinv.io.marks import ATTRIBUTE, maker
from pdeinv.typing import Array

__all__ = ["MeshFields", "cells_of", "check_vtkhdf_name", "write_fields", "write_mesh"]

CELL_TYPES = {(1, 2): 3, (2, 3): 5, (2, 4): 9, (3, 4): 10, (3, 8): 12}
"""VTK's number of a cell by the dimension of the domain and its count of corners."""


SUFFIX = ".vtkhdf"


def check_vtkhdf_name(path: Path, flag: str = "--vtk") -> None:
    """Refuse another name: ParaView and VTK choose their reader by it.

    Raises:
        ConfigError: the name does not end in .vtkhdf.
    """
    if path.suffix != SUFFIX:
        raise ConfigError(
            f"{flag} {path}: expected a name that ends in {SUFFIX}, by which ParaView knows it"
        )


@dataclass(frozen=True)
class MeshFields:
    """Fields of one moment on a mesh.

    Attributes:
        points: shape (n, d).
        cells: nodes of each cell in VTK's order, shape (k, corners).
        of_points: by name, each shape (n,).
        of_cells: by name, each shape (k,).
        about: numbers and texts that belong to the whole, by name.
    """

    points: Array
    cells: NDArray[np.int64]
    of_points: Mapping[str, Array] = field(default_factory=dict)
    of_cells: Mapping[str, Array] = field(default_factory=dict)
    about: Mapping[str, str | float] = field(default_factory=dict)


def write_mesh(path: Path, mesh: MeshFields) -> None:
    """Write fields on a mesh.

    Raises:
        MissingDependency: h5py is not installed.
    """
    h5py = extras.load("h5py", "writing VTKHDF needs")
    groups = {"PointData": mesh.of_points, "CellData": mesh.of_cells}
    with _opened(path) as file:
        root = file.create_group("VTKHDF")
        _write_geometry(root, mesh.points, mesh.cells)
        for name, arrays in groups.items():
            group = root.create_group(name)
            for label, values in arrays.items():
                group[label] = np.asarray(values, dtype=np.float64)
        group = root.create_group("FieldData")
        for label, value in mesh.about.items():
            if isinstance(value, str):  # VTK's reader takes ASCII alone
                plain = value.encode("ascii", "replace")
                group.create_dataset(label, data=[plain], dtype=h5py.string_dtype("ascii"))
            else:
                group[label] = np.array([value])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file to fill, which is made in memory: where a disk refuses, HDF5 ends the process.

    Raises:
        SystemFault: the disk is full or not writable; nothing is left behind.
    """
    import h5py

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        file.attrs[ATTRIBUTE] = maker()
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic(path) as target:
        target.write_bytes(image)


def write_fields(path: Path, fields: xr.Dataset) -> None:
    """Write the node fields of a dataset with a UGRID mesh; a dim ``time`` becomes time steps.

    Args:
        path: the .vtkhdf file.
        fields: variables on dimension ``node`` with coordinates x (y, z), and a variable such as
            ``face_node_connectivity`` (face, corner) with zero-based node numbers. Dims other than
            time and node give one field for each of their entries.

    Raises:
        DataSchemaError: no mesh in the dataset.
        MissingDependency: h5py is not installed.
    """
    extras.load("h5py", "writing VTKHDF needs")
    kind = cells_of(fields)
    with _opened(path) as file:
        root = file.create_group("VTKHDF")
        _write_grid(root, fields, kind)
        _write_data(root, fields)


def cells_of(fields: xr.Dataset) -> str:
    """The kind of the mesh's cells: volume, face or edge.

    Raises:
        DataSchemaError: no mesh in the dataset.
    """
    kind = next((k for k in ("volume", "face", "edge") if f"{k}_node_connectivity" in fields), None)
    if kind is None or "x" not in fields.coords:
        raise DataSchemaError("no mesh to write as VTKHDF: x or a node connectivity is missing")
    return kind


def _write_grid(root: Any, fields: xr.Dataset, kind: str) -> None:
    axes = [a for a in ("x", "y", "z") if a in fields.coords]
    points = np.stack([np.asarray(fields[a], dtype=np.float64) for a in axes], axis=1)
    _write_geometry(root, points, np.asarray(fields[f"{kind}_node_connectivity"], dtype=np.int64))


def _write_geometry(root: Any, points: Array, cells: NDArray[np.int64]) -> None:
    root.attrs["Version"] = np.array([2, 1])
    root.attrs["Type"] = np.bytes_("UnstructuredGrid")
    (n_cells, corners), (n, d) = cells.shape, points.shape
    parts = {
        "NumberOfPoints": np.array([n]),
        "NumberOfCells": np.array([n_cells]),
        "NumberOfConnectivityIds": np.array([cells.size]),
        "Points": np.pad(points, ((0, 0), (0, 3 - d))),
        "Connectivity": cells.ravel(),
        "Offsets": np.arange(n_cells + 1) * corners,
        "Types": np.full(n_cells, CELL_TYPES[d, corners], dtype=np.uint8),
    }
    for name, values in parts.items():
        root[name] = values


def _write_data(root: Any, fields: xr.Dataset) -> None:
    """All node fields; those without time are repeated where others have it."""
    data = root.create_group("PointData")
    times = fields["time"].values if "time" in fields.dims else None
    for name, variable in fields.data_vars.items():
        if "node" in variable.dims and variable.dtype.kind == "f":
            for label, part in _parts(str(name), variable):
                if times is not None and "time" not in part.dims:
                    part = part.expand_dims(time=len(times))  # noqa: PLW2901
                data[label] = np.asarray(part, dtype=np.float64).ravel()
    if times is not None:
        _write_steps(root, np.asarray(times, dtype=np.float64), list(data), fields.sizes["node"])


def _parts(name: str, variable: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    """The variable for every entry of its dims other than time and node, numbered by them."""
    rest = [d for d in variable.dims if d not in ("time", "node")]
    ordered = variable.transpose(*rest, ..., "node")
    for index in np.ndindex(*(variable.sizes[d] for d in rest)):
        label = "_".join([name, *(f"{d}{i}" for d, i in zip(rest, index, strict=True))])
        yield label, ordered[index]


def _write_steps(root: Any, times: Any, names: list[str], n_points: int) -> None:
    """Time steps over one mesh that stays: only the place of the point data moves on."""
    steps, n = root.create_group("Steps"), len(times)
    steps.attrs["NSteps"] = n
    steps["Values"] = times
    steps["NumberOfParts"] = np.ones(n, dtype=np.int64)
    for name in ("PartOffsets", "PointOffsets", "CellOffsets", "ConnectivityIdOffsets"):
        steps[name] = np.zeros(n, dtype=np.int64)
    offsets = steps.create_group("PointDataOffsets")
    for name in names:
        offsets[name] = np.arange(n, dtype=np.int64) * n_points
