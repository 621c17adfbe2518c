"""The axes of a regular grid that is given by all its nodes."""

from __future__ import annotations

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

__all__ = ["grid_axes"]


def grid_axes(nodes: Sensors, shape: tuple[int, ...]) -> dict[str, Array]:
    """The coordinate of each axis of a regular grid given by all its nodes, in axis order.

    Raises:
        DataSchemaError: the nodes are not a regular grid of that shape.
    """
    axes: dict[int, tuple[str, Array]] = {}
    for name, flat in nodes.items():
        values = np.asarray(flat).reshape(shape)
        slack = 1e-9 * float(np.ptp(values))
        for axis in range(len(shape)):
            line = np.moveaxis(values, axis, 0).reshape(shape[axis], -1)
            if np.allclose(line, line[:, :1], rtol=0, atol=slack) and line[0, 0] != line[-1, 0]:
                axes[axis] = (name, line[:, 0].copy())
    if len(axes) != len(shape):
        raise DataSchemaError(f"grid nodes do not form a regular grid of shape {shape}")
    return {axes[k][0]: axes[k][1] for k in range(len(shape))}
