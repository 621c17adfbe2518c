"""Helmholtz fields as labelled datasets, and datasets as waves."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.fem.high_order import HighOrderSpace
from pdeinv.io.fields import described, description
from pdeinv.typing import Array

from .config import HelmholtzConfig

__all__ = ["config_of", "to_dataset", "waves_of"]

Complex = NDArray[np.complex128]
_WAVE = ("frequency", "incident", "node")


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
    length, on_mesh = config.units.coordinate, {"mesh": "mesh", "location": "node"}
    nodes = waves[:, :, space.order]
    u = {"units": config.units.u, **on_mesh}
    word = "wave" if config.quantity == "source" else "scattered wave"
    variables: dict[str, Any] = {
        name: ("node" if name != "m" else "parameter", values, attrs)
        for name, (values, attrs) in rest.items()
    }
    if config.static:
        variables["u"] = ("node", nodes[0, 0].real, {**u, "long_name": "solution"})
    else:
        variables["u_re"] = (_WAVE, nodes.real, {**u, "long_name": f"real part of the {word}"})
        variables["u_im"] = (_WAVE, nodes.imag, {**u, "long_name": f"imaginary part of the {word}"})
    variables["mesh"] = ((), np.int32(0), {
        "cf_role": "mesh_topology",
        "topology_dimension": 2,
        "node_coordinates": "x y",
        "face_node_connectivity": "face_node_connectivity",
        "long_name": f"mesh of the nodes of {config.element} elements",
        "units": "1",
    })  # fmt: skip
    variables["face_node_connectivity"] = (("face", "corner"), space.faces.astype(np.int32), {
        "cf_role": "face_node_connectivity",
        "start_index": 0,
        "units": "1",
        "long_name": "nodes of each face, counter-clockwise",
    })  # fmt: skip
    coords: dict[str, Any] = {
        name: ("node", column, {"units": length, "long_name": f"{name} of a node"})
        for name, column in zip(("x", "y"), space.points[space.order].T, strict=True)
    }
    if not config.static:
        attrs = {"units": config.units.frequency, "long_name": "frequency"}
        coords["frequency"] = ("frequency", np.asarray(config.fs), attrs)
    return xr.Dataset(variables, coords, description("helmholtz", config, level))


def config_of(fields: xr.Dataset) -> tuple[HelmholtzConfig, int]:
    """The configuration and mesh level of a dataset that :func:`to_dataset` made.

    Raises:
        DataSchemaError: an attribute or a variable is missing, or it is another problem's.
    """
    static, waves = frozenset({"u", "m"}), frozenset({"u_re", "u_im", "m"})
    return described(fields, "helmholtz", HelmholtzConfig, static, waves)


def waves_of(fields: xr.Dataset, space: HighOrderSpace) -> Complex:
    """u of shape (frequency, incident, n), in the order of the space.

    Raises:
        DataSchemaError: another number of nodes than the mesh has.
    """
    if "u" in fields:
        nodes = np.asarray(fields["u"], dtype=np.complex128)[None, None]
    else:
        nodes = np.asarray(fields["u_re"]) + 1j * np.asarray(fields["u_im"])
    if nodes.shape[-1] != space.n:
        raise DataSchemaError(
            f"the waves have {nodes.shape[-1]} nodes, their mesh has {space.n}; solve again"
        )
    waves = np.empty_like(nodes)
    waves[..., space.order] = nodes
    return waves
