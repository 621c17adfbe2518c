"""Panels of data of several kinds: regions in discrete colours, quantities on axes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.panels import (
    CutPanel,
    Panel,
    colour_scale,
    field_panel,
    joined,
    legend_below,
    panel,
    plane,
    sensor_panel,
)
from pdeinv.jobs.plot.samples import Sample
from pdeinv.jobs.plot.slices import layers
from pdeinv.jobs.plot.volumes import cuts
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "centre_of", "kind_panels"]

COLOURS = ("#e69f00", "#c0392b", "#1f78b4", "#33a02c", "#6a3d9a")
"""Of regions, in the order of their numbers."""
NOTHING = "#d9d9d9"
"""Where no region was seen."""
MAX_TIMES = 3


def centre_of(samples: Sequence[Sample]) -> dict[str, float] | None:
    """The middle of what was seen in the first region that was, by axis; None where none was."""
    for sample in samples:
        if sample.seen and (sample.values == 1).any():
            middle = sample.places[sample.values == 1].mean(axis=0)
            return dict(zip("xyz", middle.tolist(), strict=False))
    return None


def kind_panels(samples: Sequence[Sample]) -> list[Panel]:
    """Of each time one drawing of all regions, and one of each quantity."""
    times = [list(group) for _, group in groupby(samples, key=lambda s: s.time)]
    few = np.unique(np.linspace(0, len(times) - 1, min(MAX_TIMES, len(times))).round().astype(int))
    found: list[Panel] = []
    for own in (times[k] for k in few):
        regions = [s for s in own if s.seen]
        centre = centre_of(regions)
        when = own[0].when if len(times) > 1 else ""
        found += _region_panels(regions, joined("what was seen", when), centre)
        for other in (s for s in own if not s.seen):
            found += _quantity_panels(other, joined(other.name, when), centre)
    return found


def _region_panels(
    regions: Sequence[Sample], title: str, centre: dict[str, float] | None
) -> list[Panel]:
    grids = [s.grid for s in regions]
    whole = [g for g in grids if g is not None]
    names = [s.name for s in regions]
    if not regions:
        return []
    if len(whole) < len(grids):
        return _dot_panels(regions, title)
    if whole[0].ndim == 2:
        return [_cells(whole, names, title)]
    each = [cuts(g, None, _within(g, centre)) for g in whole]
    return [
        CutPanel(_cells([part for part, _ in same], names, f"{title}\n{same[0][1]}"))
        for same in zip(*each, strict=True)
    ]


def _within(grid: xr.DataArray, centre: dict[str, float] | None) -> dict[str, float]:
    """Where cuts cross the axes: through the centre, else the middle of the grid."""
    middle = {a: float(grid[a].mean()) for a in "xyz"}
    return middle if centre is None else centre


@panel
def _cells(ax: Axes, grids: Sequence[xr.DataArray], names: Sequence[str], title: str) -> None:
    """What was seen in each cell: the last region there, none, or blank where there are no data."""
    from matplotlib.colors import ListedColormap, to_rgba

    first = grids[0]
    x, y = (first[a] for a in "xyz" if a in first.coords and first[a].ndim == 1)
    flat = [np.asarray(g.transpose(*y.dims, *x.dims)) for g in grids]
    number = np.full(flat[0].shape, np.nan)
    for k, values in enumerate(flat, start=1):
        number = np.where(values == 0, np.fmax(number, 0.0), number)
        number = np.where(values == 1, float(k), number)
    colours = [NOTHING, *_colours(len(grids))]
    style: Any = {"cmap": ListedColormap([to_rgba(c) for c in colours]), "vmin": -0.5}
    ax.pcolormesh(x, y, number, shading="nearest", rasterized=True, vmax=len(grids) + 0.5, **style)
    _key(ax, names, dots=False)
    plane(ax, title, x, y)


def _colours(n: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(n)]


def _key(ax: Axes, names: Sequence[str], *, dots: bool) -> None:
    """A legend of the regions and of what is none."""
    entries = [*zip(names, _colours(len(names)), strict=True), ("not seen", NOTHING)]
    for name, colour in entries:
        ax.plot([], [], "o" if dots else "s", color=colour, ls="", label=name or "seen")
    legend_below(ax)


def _dot_panels(regions: Sequence[Sample], title: str) -> list[Panel]:
    """Dots, in space by their height; those of later regions lie smaller on those before."""
    axes = "xyz"[: regions[0].places.shape[1]]
    columns = {a: np.concatenate([s.places[:, k] for s in regions]) for k, a in enumerate(axes)}
    number = np.repeat(np.arange(len(regions)), [len(s.values) for s in regions])
    values = np.concatenate([s.values for s in regions])
    units = {"units": regions[0].units}
    dataset = xr.Dataset(
        {"value": ("obs", values), "number": ("obs", number)},
        {a: ("obs", column, units) for a, column in columns.items()},
    )
    names = [s.name for s in regions]
    return [_dots(part, names, joined(title, text)) for part, text in layers(dataset)]


@panel
def _dots(ax: Axes, dataset: xr.Dataset, names: Sequence[str], title: str) -> None:
    x, y = dataset["x"], dataset["y"]
    size = float(np.clip(6000.0 / max(1, x.size), 8.0, 60.0))
    none = np.asarray(dataset["value"] == 0)
    ax.scatter(x[none], y[none], c=NOTHING, s=size, lw=0)
    for k, colour in enumerate(_colours(len(names))):
        own = np.asarray((dataset["number"] == k) & (dataset["value"] == 1))
        ax.scatter(x[own], y[own], c=colour, s=size / (k + 1), lw=0)
    _key(ax, names, dots=True)
    plane(ax, title, x, y)


def _quantity_panels(sample: Sample, title: str, centre: dict[str, float] | None) -> list[Panel]:
    """A map, three cuts, or dots where the places are no grid."""
    grid = sample.grid
    if grid is None:
        return _quantity_dots(sample, title)
    scale = colour_scale(grid)
    if grid.ndim == 2:
        return [field_panel(grid, title, scale)]
    return [
        CutPanel(field_panel(part, f"{title}\n{cut}", scale))
        for part, cut in cuts(grid, None, _within(grid, centre))
    ]


def _quantity_dots(sample: Sample, title: str) -> list[Panel]:
    attrs = {"units": sample.units}
    coords: dict[str, tuple[str, Array, dict[str, str]]] = {
        a: ("obs", column, attrs) for a, column in zip("xyz", sample.places.T, strict=False)
    }
    dataset = xr.Dataset({"value": ("obs", sample.values, {"units": "1"})}, coords)
    scale = colour_scale(dataset["value"])
    return [
        sensor_panel(part, part["value"], joined(title, text), scale=scale)
        for part, text in layers(dataset)
    ]
