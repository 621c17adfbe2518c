"""Panels of a result's state in the body: outlines over what was seen, the state and its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.panels import (
    CutPanel,
    Panel,
    colour_bar,
    colour_scale,
    legend_below,
    panel,
    plane,
)
from pdeinv.jobs.plot.regions import COLOURS
from pdeinv.jobs.plot.shown import Outlined, Shown, views
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["portrait_panels"]

VISIBLE = 0.01
"""The state is drawn where it is more than this part of its largest value."""
MARGIN = 0.12
"""How much of the body, in parts of its longest side, outlines are shown with around them."""
DARK = -0.6
"""What of the grey scale the darkest part of the body leaves unused."""
BRIGHT = 1.4
"""Where the grey scale ends: the brightest part of the body is no white, as all around it is."""
LINES: dict[str, dict[str, Any]] = {
    "truth": {"ls": ":", "lw": 1.6, "color": "black"},
    "found": {"ls": "-", "lw": 1.2},
}
"""How outlines are drawn, by whose they are; in the colour of the region where none is given."""


def portrait_panels(of: Shown, centre: str, spread: str) -> list[Panel]:
    """Outlines, then the state, then its standard deviation, of a solid on three cuts each.

    Args:
        of: what is drawn.
        centre: what the mean is called.
        spread: what the standard deviation is called.
    """
    flat = views(of)
    scale = {**colour_scale(of.found.state), "cmap": "inferno"}
    title = f"{centre}: {of.words}"
    what, data = _above(flat), of.dots
    colours = {} if data is None else colour_scale(data)
    panels = [_outlines(v, _titled(what, v), colours) for v in flat] if what else []
    panels += [_field(v, v.found.state, _titled(title, v), scale) for v in flat]
    if of.sd is not None:
        wide = {**colour_scale(of.sd), "cmap": "viridis"}
        text = f"{spread} ({of.draws} draws)"
        panels += [_field(v, v.sd, _titled(text, v), wide) for v in flat if v.sd is not None]
    return [CutPanel(p) for p in panels] if len(flat) > 1 else panels


def _above(flat: Sequence[Shown]) -> str:
    """What the first panels show: outlines, data at places or both; empty where there are none."""
    states = [o for v in flat for o in (v.truth, v.found) if o is not None]
    passed = any(_passes(o, name) for o in states for name in o.levels)
    outlines = passed or any(v.seen for v in flat)
    told = {"outlines": outlines, "data": any(v.dots is not None for v in flat)}
    return " and ".join(text for text, there in told.items() if there)


def _passes(of: Outlined, name: str) -> bool:
    """Whether a state passes a level somewhere."""
    return bool(of.state.min() < of.levels[name] < of.state.max())


def _titled(text: str, view: Shown) -> str:
    return text if view.cut is None else f"{text}\n{view.cut}"


def _rows(array: xr.DataArray) -> Array:
    """Values on a plane, the first of its axes along columns."""
    x, y = (a for a in "xyz" if a in array.dims)
    return np.asarray(array.transpose(y, x))


def _sides(array: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    x, y = (array[a] for a in "xyz" if a in array.dims)
    return x, y


def _ground(ax: Axes, view: Shown) -> None:
    """The body behind everything, its darkest part no black, its brightest no white."""
    style: Any = {"cmap": "gray", "vmin": DARK, "vmax": BRIGHT, "shading": "nearest"}
    ax.pcolormesh(*view.axes, _rows(view.ground), rasterized=True, **style)


@panel
def _field(
    ax: Axes, view: Shown, array: xr.DataArray, title: str, scale: Mapping[str, Any]
) -> None:
    """A field over the body, which shows where the field is next to nothing."""
    _ground(ax, view)
    values = np.ma.masked_less(_rows(array), VISIBLE * float(scale["norm"].vmax))
    image = ax.pcolormesh(*view.axes, values, shading="nearest", rasterized=True, **scale)
    colour_bar(ax, image, array)
    plane(ax, title, *view.axes)


@panel
def _outlines(ax: Axes, view: Shown, title: str, colours_of: Mapping[str, Any]) -> None:
    """What was seen or measured in colours, and lines where true and found pass the levels."""
    _ground(ax, view)
    view.around.draw(ax)
    if view.dots is not None:
        _values(ax, view.dots, colours_of)
    names = dict.fromkeys([*view.seen, *view.found.levels])
    colours = dict(zip(names, COLOURS * (1 + len(names)), strict=False))
    for name, grid in view.seen.items():
        _patch(ax, grid, f"{name}, seen", colours[name])
    truth = {} if view.truth is None else {"truth": view.truth}
    for whose, outlined in {**truth, "found": view.found}.items():
        for name in outlined.levels:
            _line(ax, outlined, name, whose, colours[name])
    if ax.get_legend_handles_labels()[1]:
        legend_below(ax)
    plane(ax, title, *view.axes)
    _around(ax, view)


def _values(ax: Axes, dots: xr.DataArray, colours: Mapping[str, Any]) -> None:
    """Data at places in the colours of their values."""
    size = float(np.clip(900.0 / dots.size, 1.4, 16.0))
    x, y = (dots[a] for a in "xyz" if a in dots.coords)
    image = ax.scatter(x, y, c=dots.values, s=size, ec="black", lw=0.3, zorder=3, **colours)
    colour_bar(ax, image, dots, "data")


def _patch(ax: Axes, grid: xr.DataArray, label: str, colour: str) -> None:
    """The cells where a region was seen."""
    from matplotlib.colors import ListedColormap

    inside = np.ma.masked_not_equal(_rows(grid), 1.0)
    if inside.count():
        style: Any = {"cmap": ListedColormap([colour]), "vmin": 0.5, "vmax": 1.5, "alpha": 0.5}
        ax.pcolormesh(*_sides(grid), inside, shading="nearest", rasterized=True, lw=0, **style)
        ax.plot([], [], "s", color=colour, alpha=0.5, ls="", label=label)


def _line(ax: Axes, of: Outlined, name: str, whose: str, colour: str) -> None:
    """The line where a state passes a level, if it does."""
    if not _passes(of, name):
        return
    values, level = _rows(of.state), of.levels[name]
    style = {"color": _darker(colour), **LINES[whose]}
    lines: Any = {k: [style[v]] for k, v in _OF_CONTOURS.items()}
    ax.contour(*_sides(of.state), values, levels=[level], **lines)
    ax.plot([], [], label=f"{name}, {whose}", **style)


_OF_CONTOURS = {"colors": "color", "linestyles": "ls", "linewidths": "lw"}


def _darker(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(0.65 * c for c in to_rgb(colour))


def _around(ax: Axes, view: Shown) -> None:
    """Show the outlines with what is around them; the whole plane where there are none."""
    states = [o for o in (view.truth, view.found) if o is not None and o.levels]
    inside = [o.state > min(o.levels.values()) for o in states]
    ends = [_ends(part) for part in (*inside, *(grid == 1 for grid in view.seen.values()))]
    corners = np.array([e for e in ends if e is not None])
    if not len(corners):
        return
    more = MARGIN * max(float(np.ptp(a.values)) for a in view.axes)
    low, high = corners[:, 0].min(axis=0) - more, corners[:, 1].max(axis=0) + more
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _ends(inside: xr.DataArray) -> Array | None:
    """The lower and upper corner of what is inside, (2, 2); None where nothing is."""
    index = np.nonzero(_rows(inside))[::-1]
    if not len(index[0]):
        return None
    places = [np.asarray(a)[i] for a, i in zip(_sides(inside), index, strict=True)]
    return np.array([[p.min() for p in places], [p.max() for p in places]])
