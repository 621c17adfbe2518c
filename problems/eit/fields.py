"""Fields of one unknown as a labelled dataset, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.fem.nodal import NodalSpace
from pdeinv.io.fields import Layout, joined, parted
from pdeinv.model.observed import Observed
from pdeinv.typing import Array

from .setup.config import EitConfig

__all__ = ["table_of", "to_dataset"]

_TABLE = ("injection", "measurement")

Numbers = Any


def to_dataset(
    config: EitConfig,
    observed: Observed,
    level: int,
    space: NodalSpace,
    potentials: Numbers,
    table: Numbers,
    rest: dict[str, tuple[Array, dict[str, str]]],
) -> xr.Dataset:
    """Node values with their mesh in the UGRID layout, and the whole table of data.

    Args:
        config: of the problem.
        observed: the measured quantity.
        level: of the mesh.
        space: elements.
        potentials: u of every injection, shape (injections, n).
        table: what would be measured, shape (injections, measurements).
        rest: node fields with units and long name, in the order of nodes.
    """
    order = np.argsort(space.node_of_dof)
    layout = Layout(space.points[order], space.nodes.cells, config.element, "m")
    variables: dict[str, Any] = {
        name: layout.node(values, **attrs) for name, (values, attrs) in rest.items()
    }
    dims, u, attrs = layout.node(potentials[:, order], "V", "", "injection")
    variables |= parted("u", "potential", u, dims, attrs)
    variables |= parted(observed.name, observed.long_name, table, _TABLE, {"units": observed.units})
    coords = {
        name: (name, np.arange(n), {"units": "1", "long_name": f"number of the {name}"})
        for name, n in zip(_TABLE, table.shape, strict=True)
    }
    return layout.dataset(variables, coords, ("eit", config, level))


def table_of(fields: xr.Dataset, name: str, shape: tuple[int, int]) -> Numbers:
    """The table of data of a dataset, real or complex.

    Raises:
        DataSchemaError: missing, or of another shape.
    """
    found = joined(fields, name)
    if found.shape != shape:
        raise DataSchemaError(
            f"'{name}' has shape {found.shape}, the protocol has {shape}; solve again"
        )
    return found
