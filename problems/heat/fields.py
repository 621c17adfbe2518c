"""Heat fields as labelled datasets."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.io.fields import described, description
from pdeinv.model.observed import Observed
from pdeinv.typing import Array

from .config import HeatConfig
from .discrete import HeatDiscretisation

__all__ = ["config_of", "to_dataset"]

_ELEMENT = {1: "edge", 2: "face", 3: "volume"}
_QUADRILATERAL = [0, 1, 3, 2]
_HEXAHEDRON = [0, 1, 3, 2, 4, 5, 7, 6]


def to_dataset(
    config: HeatConfig, observed: Observed, discretisation: HeatDiscretisation, u: Array
) -> xr.Dataset:
    """The states u (time, node) with the mesh of all nodes in the UGRID layout."""
    nodes, units = discretisation.space.nodes, config.units
    element = _ELEMENT[nodes.dim]
    axes = "xyz"[: nodes.dim]
    on_mesh = {"mesh": "mesh", "location": "node", "coordinates": " ".join(axes)}
    mesh = {
        "cf_role": "mesh_topology",
        "topology_dimension": nodes.dim,
        "node_coordinates": " ".join(axes),
        f"{element}_node_connectivity": f"{element}_node_connectivity",
        "long_name": f"mesh of the nodes of {config.element} elements",
        "units": "1",
    }
    order = {"quadrilateral": _QUADRILATERAL, "hexahedron": _HEXAHEDRON}.get(nodes.shape)
    cells = nodes.cells if order is None else nodes.cells[:, order]
    connectivity = {
        "cf_role": f"{element}_node_connectivity",
        "start_index": 0,
        "units": "1",
        "long_name": f"nodes of each {element}",
    }
    state = {"units": observed.units, "long_name": observed.long_name, **on_mesh}
    variables = {
        observed.name: (("time", "node"), u, state),
        "mesh": ((), np.int32(0), mesh),
        f"{element}_node_connectivity": (
            (element, "corner"),
            cells.astype(np.int32),
            connectivity,
        ),
    }
    coords = {
        name: (
            "node",
            nodes.points[:, i],
            {"units": units.coordinate, "long_name": f"{name} coordinate"},
        )
        for i, name in enumerate(axes)
    }
    when = {"units": units.time, "long_name": "time", "axis": "T"}
    attrs = description("heat", config, discretisation.level)
    return xr.Dataset(variables, {**coords, "time": ("time", discretisation.times, when)}, attrs)


def config_of(fields: xr.Dataset) -> tuple[HeatConfig, int]:
    """The configuration and level of a dataset that :func:`to_dataset` made.

    Raises:
        DataSchemaError: an attribute or the state is missing, or it is another problem's.
    """
    return described(fields, "heat", HeatConfig, frozenset({"u"}))
