"""Helmholtz fields as labelled datasets, and datasets as waves."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.high_order import HighOrderSpace
from pdeinv.io.fields import Layout, joined, parted
from pdeinv.typing import Array

from .config import HelmholtzConfig

__all__ = ["to_dataset", "waves_of"]

Complex = NDArray[np.complex128]


def to_dataset(
    config: HelmholtzConfig,
    level: int,
    space: HighOrderSpace,
    waves: Complex,
    rest: dict[str, tuple[Array, dict[str, str]]],
) -> xr.Dataset:
    """Node values with their mesh in the UGRID layout, nodes in canonical order.

    Args:
        config: of the problem.
        level: of the mesh.
        space: elements.
        waves: u (real part used in the static problem) of shape (frequency, incident, n), the
            scattered wave where there are incident ones.
        rest: further real node fields with units and long name, in canonical order, and the
            unknown ``m``.
    """
    points = space.points[space.order]
    layout = Layout(points, space.faces, config.element, config.units.coordinate)
    nodes, units = waves[:, :, space.order], config.units
    variables: dict[str, Any] = {
        name: ("parameter", values, attrs)
        if name == "m"
        else layout.node(values, attrs["units"], attrs["long_name"])
        for name, (values, attrs) in rest.items()
    }
    if config.static:
        variables["u"] = layout.node(nodes[0, 0].real, units.u, "solution")
        return layout.dataset(variables, {}, ("helmholtz", config, level))
    word = "wave" if config.quantity == "source" else "scattered wave"
    dims, _, about = layout.node(nodes, units.u, "", "frequency", "incident")
    variables |= parted("u", f"the {word}", nodes, dims, about)
    attrs = {"units": units.frequency, "long_name": "frequency"}
    coords = {"frequency": ("frequency", np.asarray(config.fs), attrs)}
    return layout.dataset(variables, coords, ("helmholtz", config, level))


def waves_of(fields: xr.Dataset, space: HighOrderSpace) -> Complex:
    """u of shape (frequency, incident, n), in the order of the space.

    Raises:
        DataSchemaError: another number of nodes than the mesh has.
    """
    found = joined(fields, "u").astype(np.complex128)
    nodes: Complex = found if found.ndim == 3 else found[None, None]
    if nodes.shape[-1] != space.n:
        raise DataSchemaError(
            f"the waves have {nodes.shape[-1]} nodes, their mesh has {space.n}; solve again"
        )
    waves = np.empty_like(nodes)
    waves[..., space.order] = nodes
    return waves
