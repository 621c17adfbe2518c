"""Panels of gathers: the records of one shot by all receivers, time downwards, as an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.jobs.plot.panels import Panel, axis_name, colour_bar, joined, panel, with_units
from pdeinv.jobs.plot.slices import part_of
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fit_gathers", "gather_panels", "is_gather"]

TIME = "time"
MAX_SHOTS = 2
CLIPPED = 0.5
"""Per cent of the values beyond the ends of the colours: first arrivals outshine echoes."""


def is_gather(array: xr.DataArray) -> bool:
    """Whether the array is over two numbers and time, which is the last one."""
    return array.ndim == 3 and array.dims[-1] == TIME and all(d in array.coords for d in array.dims)


def gather_panels(array: xr.DataArray, title: str) -> list[Panel]:
    """One panel for each of a few shots, the first axis."""
    shot = str(array.dims[0])
    few, n = _few(array.sizes[shot]), array.sizes[shot]
    scale = _scale(array.values)
    rest = "" if len(few) == n else f"{len(few)} of {n} {shot}s"
    return [
        _gather(array.isel({shot: k}), joined(title, _named(array, k), rest), scale) for k in few
    ]


@dataclass(frozen=True)
class _Table:
    """Where data over ``obs`` stand in an array over two numbers and time.

    Attributes:
        axes: those of the array, by name, time last.
        index: of each datum along each of them.
    """

    axes: dict[str, xr.Variable]
    index: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, places: xr.Dataset) -> _Table | None:
        """By the coordinates of the data; None where they are others."""
        names = [str(k) for k, v in places.variables.items() if v.dims == ("obs",) and k != "obs"]
        others = [n for n in names if n not in (TIME, "noise_std")]
        if TIME not in names or len(others) != 2:
            return None
        found = {d: np.unique(places[d], return_inverse=True) for d in (*others, TIME)}
        axes = {d: xr.Variable(d, values, places[d].attrs) for d, (values, _) in found.items()}
        if min(axes[d].size for d in (others[1], TIME)) < 2:
            return None
        return cls(axes, tuple(np.ravel(where) for _, where in found.values()))

    def array(self, values: Array, like: xr.DataArray) -> xr.DataArray:
        """Values of the data as that array, NaN where there are none."""
        full = np.full([axis.size for axis in self.axes.values()], np.nan)
        full[self.index] = values
        return xr.DataArray(full, self.axes, list(self.axes), name=like.name, attrs=like.attrs)


def fit_gathers(observed: xr.DataArray, predicted: Array, places: xr.Dataset) -> list[Panel]:
    """Observed and predicted records of a few shots on one scale of colours, and what is left.

    Args:
        observed: data over ``obs``.
        predicted: the same without noise.
        places: the numbers and times of the data, over ``obs`` too; the list is empty where there
            are no such.
    """
    table = _Table.of(places)
    if table is None:
        return []
    real = observed.values
    left, own = real - predicted, _scale(real)
    parts = {
        "observed": (real, own),
        "predicted": (predicted, own),
        "residual, other colours": (left, _scale(left)),
    }
    arrays = {words: (table.array(v, observed), top) for words, (v, top) in parts.items()}
    shot = next(iter(table.axes))
    return [
        _gather(array.isel({shot: k}), joined(words, _named(array, k)), top)
        for k in _few(table.axes[shot].size)
        for words, (array, top) in arrays.items()
    ]


def _few(n: int) -> list[int]:
    return [int(k) for k in np.unique(np.linspace(0, n - 1, min(MAX_SHOTS, n)).round())]


def _named(array: xr.DataArray, k: int) -> str:
    shot = str(array.dims[0])
    return part_of(shot, float(array[shot][k]))


def _scale(values: Array) -> float:
    """Where colours end."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(np.percentile(sizes, 100 - CLIPPED)) or float(sizes.max()) or 1.0


@panel
def _gather(ax: Axes, array: xr.DataArray, title: str, top: float) -> None:
    """Receivers to the right, time downwards."""
    place, time = (array[d] for d in array.dims)
    colours: Any = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
    image = ax.pcolormesh(
        place, time, array.values.T, shading="nearest", rasterized=True, **colours
    )
    colour_bar(ax, image, array)
    ax.invert_yaxis()
    labels = {"xlabel": str(place.name), "ylabel": with_units(axis_name(time), time)}
    ax.set(title=title, box_aspect=1, **labels)
