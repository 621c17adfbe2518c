"""Profiles: an unknown field along a line on which one of its two coordinates is fixed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError
from pdeinv.io.body import CELL
from pdeinv.io.fields import UNKNOWN
from pdeinv.jobs.plot.lines import INTERVAL, Band, band_panel
from pdeinv.jobs.plot.panels import (
    BLUE,
    RED,
    Panel,
    axis_name,
    joined,
    legend_below,
    panel,
    title_of,
    units_of,
    with_units,
    wrapped,
)
from pdeinv.jobs.plot.slices import part_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pdeinv.jobs.plot.result import Claim

__all__ = ["Line", "profile_panels", "truth_profile_panels"]


@dataclass(frozen=True)
class Line:
    """Where a coordinate has one value."""

    axis: str
    value: float

    @classmethod
    def of(cls, text: str) -> Line:
        """From text such as ``x=300``.

        Raises:
            ConfigError: not understood.
        """
        found = re.fullmatch(r"\s*([xy])\s*=\s*([-+.\deE]+)\s*", text)
        try:
            if found is not None and np.isfinite(value := float(found[2])):
                return cls(found[1], value)
        except ValueError:
            pass
        raise ConfigError(f"--profile {text}: expected x or y and its value, such as x=300")


def profile_panels(
    tree: xr.DataTree, truth: xr.DataTree | None, claim: Claim, lines: Sequence[Line]
) -> list[Panel]:
    """One panel for each unknown field over x and y and each line, the truth beside.

    Raises:
        ConfigError: no such field, or a line outside of it.
    """
    posterior, estimates = (tree[g].to_dataset() for g in ("posterior", "estimates"))
    names = [str(n) for n, v in posterior.data_vars.items() if v.dims[2:] == ("y", "x")]
    if lines and not names:
        raise ConfigError("--profile: the unknown is no field over x and y; leave it out")
    found = []
    for name in names:
        mean, draws = estimates[f"{name}_mean"], posterior[name]
        for line in lines:
            _check_inside(mean, line)
            centre = _along(mean, line)
            band = Band.of(centre, claim.short, None if claim.point else _along(draws, line))
            real = None if truth is None else _true(truth, name, centre, line)
            found.append(_panel(band, real, claim.of_draws(_titled(mean, line))))
    return found


def truth_profile_panels(tree: xr.DataTree, lines: Sequence[Line]) -> list[Panel]:
    """The same of a truth: its unknown alone.

    Raises:
        ConfigError: no such field, or a line outside of it.
    """
    unknown = tree.children["unknown"].to_dataset(inherit=False)
    fields = [v for v in unknown.data_vars.values() if v.dims == ("y", "x")]
    if lines and not fields:
        raise ConfigError("--profile: the unknown is no field over x and y; leave it out")
    found = []
    for field in fields:
        for line in lines:
            _check_inside(field, line)
            found.append(
                _panel(Band.of(_along(field, line), "truth", None), None, _titled(field, line))
            )
    return found


def _check_inside(field: xr.DataArray, line: Line) -> None:
    at = np.asarray(field[line.axis], dtype=np.float64)
    half = abs(at[1] - at[0]) / 2 if len(at) > 1 and _of_cells(field, line.axis) else 0.0
    low, high = at.min() - half, at.max() + half
    if not low <= line.value <= high:
        raise ConfigError(
            f"--profile {line.axis}={line.value:g}: '{field.name}' goes from {line.axis} = {low:g} "
            f"to {high:g}"
        )


def _of_cells(field: xr.DataArray, axis: str) -> bool:
    return field[axis].attrs.get("location") == CELL


def _along(field: xr.DataArray, line: Line) -> xr.DataArray:
    """The field on a line: linear between nodes, that of the cell on cells."""
    if _of_cells(field, line.axis) or field.sizes[line.axis] == 1:
        found = field.sel({line.axis: line.value}, method="nearest")
    else:
        found = field.interp({line.axis: line.value}, kwargs={"fill_value": "extrapolate"})
    return found.drop_vars(line.axis)


def _titled(field: xr.DataArray, line: Line) -> str:
    return joined(title_of(field), part_of(line.axis, line.value))


def _true(truth: xr.DataTree, name: str, like: xr.DataArray, line: Line) -> xr.DataArray | None:
    """The truth's unknown on the line, or the field at the nodes of its mesh that shows it."""
    unknown = truth.children["unknown"].to_dataset(inherit=False)
    if name in unknown and unknown[name].dims == ("y", "x"):
        return _along(unknown[name], line)
    root = truth.to_dataset()
    for array in (a for a in root.data_vars.values() if a.dims == ("node",)):
        if array.attrs.get(UNKNOWN, array.name) == name and {"x", "y"} <= set(array.coords):
            return _between_nodes(array, like, line)
    return None


def _between_nodes(array: xr.DataArray, like: xr.DataArray, line: Line) -> xr.DataArray:
    """Values at the nodes of a mesh as those on a line, linear between them."""
    from scipy.interpolate import griddata

    (own,) = like.dims
    at = np.linspace(float(like[own].min()), float(like[own].max()), max(401, like.sizes[own]))
    ends = {line.axis: np.full(len(at), line.value), str(own): at}
    nodes = np.stack([np.asarray(array[a], dtype=np.float64) for a in "xy"], axis=1)
    values = griddata(nodes, array.values, np.stack([ends[a] for a in "xy"], axis=1))
    coords = {str(own): (own, at, like[own].attrs)}
    return xr.DataArray(values, coords, [own], name=array.name, attrs=array.attrs)


def _panel(band: Band, truth: xr.DataArray | None, title: str) -> Panel:
    (own,) = band.centre.dims
    downwards = band.centre[own].attrs.get("positive") == "down"
    return (_upright if downwards else band_panel)(band, truth, title)


@panel
def _upright(ax: Axes, band: Band, truth: xr.DataArray | None, title: str) -> None:
    """Depth downwards, the field to the right."""
    (own,) = band.centre.dims
    depth = band.centre[own]
    if band.low is not None and band.high is not None:
        ends = band.low.values, band.high.values
        ax.fill_betweenx(depth, *ends, color=BLUE, alpha=0.2, lw=0, label=INTERVAL)
    ax.plot(band.centre.values, depth, color=BLUE, label=band.name)
    if truth is not None:
        ax.plot(truth.values, truth[own], color=RED, ls="--", label="truth")
    ax.invert_yaxis()
    labels = {"xlabel": units_of(band.centre), "ylabel": with_units(axis_name(depth), depth)}
    ax.set(title=wrapped(title), **labels)
    legend_below(ax)
