"""Heat fields as labelled datasets."""

from __future__ import annotations

import xarray as xr

from pdeinv.io.fields import Layout
from pdeinv.model.observed import Observed
from pdeinv.typing import Array

from .config import HeatConfig
from .discrete import HeatDiscretisation

__all__ = ["to_dataset"]

_QUADRILATERAL = [0, 1, 3, 2]
_HEXAHEDRON = [0, 1, 3, 2, 4, 5, 7, 6]


def to_dataset(
    config: HeatConfig, observed: Observed, discretisation: HeatDiscretisation, u: Array
) -> xr.Dataset:
    """The states u (time, node) with the mesh of all nodes in the UGRID layout."""
    nodes, units = discretisation.space.nodes, config.units
    order = {"quadrilateral": _QUADRILATERAL, "hexahedron": _HEXAHEDRON}.get(nodes.shape)
    cells = nodes.cells if order is None else nodes.cells[:, order]
    layout = Layout(nodes.points, cells, config.element, units.coordinate)
    state = layout.node(u, observed.units, observed.long_name, "time")
    when = {"units": units.time, "long_name": "time", "axis": "T"}
    coords = {"time": ("time", discretisation.times, when)}
    return layout.dataset({observed.name: state}, coords, ("heat", config, discretisation.level))
