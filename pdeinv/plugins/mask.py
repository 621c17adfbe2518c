"""The mask of a field on a regular grid: which of its nodes lie in the body."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.io.fields import INSIDE
from pdeinv.model.spaces import Space
from pdeinv.plugins.hooks import HasMask
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = ["masks"]

SAMPLES = {2: np.linspace(-0.5, 0.5, 5), 3: np.linspace(-0.5, 0.5, 3)}
"""Where a cell is looked at along each axis, in units of its width, by dimension."""

ATTRS = {
    "units": "1",
    "flag_values": np.array([0, 1], dtype=np.int8),
    "flag_meanings": "outside inside",
}


def masks(problem: Problem, space: Space) -> xr.Dataset:
    """Which nodes of each field on a regular grid belong to the body: ``NAME_inside``, 0 or 1.

    A node belongs to it where its cell, half-way to each neighbour, meets the body: the field there
    acts on the data. A field whose nodes all do has no such variable.

    Args:
        problem: says by its hook ``mask`` which points lie in the body; without it all do.
        space: of the unknown.
    """
    found: dict[str, xr.DataArray] = {}
    if not isinstance(problem, HasMask):
        return xr.Dataset()
    for variable in space.variables:
        axes = [a for a in "xyz" if variable.coords.get(a, ((),))[0] == (a,)]
        if len(axes) < 2:
            continue
        nodes = [np.asarray(variable.coords[a][1], dtype=np.float64) for a in axes]
        meets = _meets(problem.mask, nodes)
        if not meets.all():
            attrs = {**ATTRS, "long_name": f"whether the place lies in the body: {variable.name}"}
            places = variable.to_xarray(np.zeros(variable.size)).coords
            coords = {a: places[a] for a in axes}
            array = xr.DataArray(meets.astype(np.int8), coords, axes, attrs=attrs)
            found[f"{variable.name}{INSIDE}"] = array.transpose(
                *(d for d in variable.dims if d in axes)
            )
    return xr.Dataset(found)


def _meets(inside: Callable[[Array], NDArray[np.bool_]], nodes: list[Array]) -> NDArray[np.bool_]:
    """Whether the cells around the nodes of a grid meet the body, indexed as the axes are."""
    widths = [np.gradient(a) if len(a) > 1 else np.zeros(1) for a in nodes]
    centres, sizes = (
        np.stack(np.meshgrid(*w, indexing="ij"), axis=-1).reshape(-1, len(nodes))
        for w in (nodes, widths)
    )
    found = np.asarray(inside(centres), dtype=np.bool_)
    for shift in itertools.product(SAMPLES[len(nodes)], repeat=len(nodes)):
        rest = np.flatnonzero(~found)
        found[rest] = inside(centres[rest] + np.array(shift) * sizes[rest])
    return found.reshape([len(a) for a in nodes])
