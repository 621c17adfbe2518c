"""Fields on a mesh as VTKHDF, which ParaView and PyVista open directly.

Format: VTK file formats documentation, "VTKHDF", UnstructuredGrid, version 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv import extras
from pdeinv.errors import DataSchemaError
from pdeinv.io.atomic import atomic
from pdeinv.io.marks import ATTRIBUTE, maker

__all__ = ["cells_of", "write_fields"]

CELL_TYPES = {
    ("edge", 2): 3, ("face", 3): 5, ("face", 4): 9, ("volume", 4): 10, ("volume", 8): 12,
}  # fmt: skip
"""VTK's number of a cell by its UGRID kind and its count of corners."""


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
    h5py = extras.load("h5py", "writing VTKHDF needs")
    kind = cells_of(fields)
    with atomic(path) as target, h5py.File(target, "w") as file:
        file.attrs[ATTRIBUTE] = maker()
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
    root.attrs["Version"] = np.array([2, 1])
    root.attrs["Type"] = np.bytes_("UnstructuredGrid")
    cells = np.asarray(fields[f"{kind}_node_connectivity"], dtype=np.int64)
    n_cells, corners = cells.shape
    points = np.zeros((fields.sizes["node"], 3))
    for i, axis in enumerate(a for a in ("x", "y", "z") if a in fields.coords):
        points[:, i] = fields[axis]
    parts = {
        "NumberOfPoints": np.array([len(points)]),
        "NumberOfCells": np.array([n_cells]),
        "NumberOfConnectivityIds": np.array([cells.size]),
        "Points": points,
        "Connectivity": cells.ravel(),
        "Offsets": np.arange(n_cells + 1) * corners,
        "Types": np.full(n_cells, CELL_TYPES[kind, corners], dtype=np.uint8),
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
