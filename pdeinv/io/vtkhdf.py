"""Fields on a mesh as VTKHDF, which ParaView and PyVista open directly.

Format: VTK file formats documentation, "VTKHDF", UnstructuredGrid, version 2.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError, MissingDependency
from pdeinv.io.atomic import atomic

__all__ = ["write_fields"]

CELL_TYPES = {2: 3, 3: 5, 4: 9}
"""VTK's number for a line, a triangle and a quadrilateral, by the count of corners."""
CONNECTIVITY = "face_node_connectivity"


def write_fields(path: Path, fields: xr.Dataset) -> None:
    """Write the node fields of a dataset with a UGRID mesh.

    Args:
        path: the .vtkhdf file.
        fields: variables on dimension ``node`` with coordinates x, y (and z), and the variable
            ``face_node_connectivity`` (face, corner) with zero-based node numbers.

    Raises:
        DataSchemaError: no mesh in the dataset.
        MissingDependency: h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise MissingDependency(
            "writing VTKHDF needs h5py, which is not installed; run pip install 'pdeinv[fem]'"
        ) from None
    if CONNECTIVITY not in fields or "x" not in fields.coords:
        raise DataSchemaError(f"no mesh to write as VTKHDF: '{CONNECTIVITY}' or 'x' is missing")
    with atomic(path) as target, h5py.File(target, "w") as file:
        _write_grid(file.create_group("VTKHDF"), fields)


def _write_grid(root: Any, fields: xr.Dataset) -> None:
    root.attrs["Version"] = np.array([2, 1])
    root.attrs["Type"] = np.bytes_("UnstructuredGrid")
    cells = np.asarray(fields[CONNECTIVITY], dtype=np.int64)
    n_cells, corners = cells.shape
    points = np.zeros((fields.sizes["node"], 3))
    for i, axis in enumerate(a for a in ("x", "y", "z") if a in fields.coords):
        points[:, i] = fields[axis]
    root["NumberOfPoints"] = np.array([len(points)])
    root["NumberOfCells"] = np.array([n_cells])
    root["NumberOfConnectivityIds"] = np.array([cells.size])
    root["Points"] = points
    root["Connectivity"] = cells.ravel()
    root["Offsets"] = np.arange(n_cells + 1) * corners
    root["Types"] = np.full(n_cells, CELL_TYPES[corners], dtype=np.uint8)
    data = root.create_group("PointData")
    for name, variable in fields.data_vars.items():
        if variable.dims == ("node",):
            data[str(name)] = np.asarray(variable, dtype=np.float64)
