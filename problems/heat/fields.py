"""Heat fields as labelled datasets."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.config import dump_toml, parse, parse_toml
from pdeinv.errors import DataSchemaError
from pdeinv.protocols import Observed
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
    attrs = {
        "Conventions": "CF-1.11 UGRID-1.0",
        "pdeinv_problem": "heat",
        "pdeinv_problem_config": dump_toml(config.model_dump(mode="json")),
        "pdeinv_level": discretisation.level,
    }
    return xr.Dataset(variables, {**coords, "time": ("time", discretisation.times, when)}, attrs)


def config_of(fields: xr.Dataset) -> tuple[HeatConfig, int]:
    """The configuration and level of a dataset that :func:`to_dataset` made.

    Raises:
        DataSchemaError: an attribute or the state is missing, or it is another problem's.
    """
    problem = fields.attrs.get("pdeinv_problem")
    missing = [k for k in ("pdeinv_problem_config", "pdeinv_level") if k not in fields.attrs]
    if problem != "heat" or missing or "u" not in fields:
        raise DataSchemaError(
            "expected the fields of 'pdeinv solve heat' (variable u, attributes "
            f"pdeinv_problem_config and pdeinv_level), got problem {problem!r} with variables "
            f"{list(map(str, fields))}"
        )
    table = parse_toml(
        str(fields.attrs["pdeinv_problem_config"]), "attribute pdeinv_problem_config"
    )
    return parse(HeatConfig, table, "pdeinv_problem_config"), int(fields.attrs["pdeinv_level"])
