"""Fields of one unknown as a labelled dataset, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.fem.nodal import NodalSpace
from pdeinv.io.fields import Layout, described
from pdeinv.model.observed import Observed
from pdeinv.typing import Array

from .setup.config import EitConfig

__all__ = ["config_of", "table_of", "to_dataset"]

_TABLE = ("injection", "measurement")

Numbers = Any


def _parts(name: str, text: str, values: Numbers, dims: tuple[str, ...], attrs: Any) -> Any:
    """One variable, or two of real and imaginary parts."""
    if values.dtype.kind != "c":
        return {name: (dims, values, {**attrs, "long_name": text})}
    return {
        f"{name}_re": (dims, values.real, {**attrs, "long_name": f"real part of {text}"}),
        f"{name}_im": (dims, values.imag, {**attrs, "long_name": f"imaginary part of {text}"}),
    }


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
    variables |= _parts("u", "potential", u, dims, attrs)
    variables |= _parts(observed.name, observed.long_name, table, _TABLE, {"units": observed.units})
    coords = {
        name: (name, np.arange(n), {"units": "1", "long_name": f"number of the {name}"})
        for name, n in zip(_TABLE, table.shape, strict=True)
    }
    return layout.dataset(variables, coords, ("eit", config, level))


def config_of(fields: xr.Dataset) -> EitConfig:
    """The configuration of a dataset that :func:`to_dataset` made.

    Raises:
        DataSchemaError: it is no such dataset.
    """
    return described(fields, "eit", EitConfig, frozenset({"u"}), frozenset({"u_re", "u_im"}))[0]


def table_of(fields: xr.Dataset, name: str, shape: tuple[int, int]) -> Numbers:
    """The table of data of a dataset, real or complex.

    Raises:
        DataSchemaError: missing, or of another shape.
    """
    if name in fields:
        found: Numbers = np.asarray(fields[name], dtype=np.float64)
    elif f"{name}_re" in fields and f"{name}_im" in fields:
        found = np.asarray(fields[f"{name}_re"]) + 1j * np.asarray(fields[f"{name}_im"])
    else:
        raise DataSchemaError(f"variable '{name}' is missing; solve again")
    if found.shape != shape:
        raise DataSchemaError(
            f"'{name}' has shape {found.shape}, the protocol has {shape}; solve again"
        )
    return found
