"""The panels of a figure: each function returns a drawing that is put into axes later."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.overlays import Overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "GREY",
    "Panel",
    "band_panel",
    "colour_scale",
    "field_panel",
    "histogram",
    "line_panel",
    "panel",
    "places_panel",
    "sensor_panel",
    "series_panel",
    "title_of",
    "units_of",
    "with_units",
]

Panel = Callable[["Axes"], None]
"""Draws one panel into its axes."""


def panel[**P](draw: Callable[Concatenate[Axes, P], None]) -> Callable[P, Panel]:
    """Make a function of axes and what to draw a function of what to draw: the axes come later."""

    @wraps(draw)
    def later(*args: P.args, **kwargs: P.kwargs) -> Panel:
        return lambda ax: draw(ax, *args, **kwargs)

    return later


TITLE_WIDTH = 40
LOG_RANGE = 30.0
"""A positive field that spans more than this factor is shown on a logarithmic scale."""
BLUE, GREY, RED = "#1f5a99", "#555555", "#c0392b"


BALANCED = 0.2
"""A field with both signs, the smaller this part of the larger, has colours that diverge from 0."""
PARTS = ", component 0 real, 1 imaginary"
"""What a long name says of an axis that a panel has taken apart."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def colour_scale(*arrays: xr.DataArray) -> dict[str, Any]:
    """One colour scale for all arrays.

    Logarithmic where they are positive over a wide range, symmetric where they have both signs.
    """
    from matplotlib.colors import LogNorm, Normalize

    low = min(float(a.min()) for a in arrays)
    high = max(float(a.max()) for a in arrays)
    if low < 0 < high and min(-low, high) > BALANCED * max(-low, high):
        top = max(-low, high)
        return {"norm": Normalize(-top, top), "cmap": "RdBu_r"}
    wide = low > 0 and high / low > LOG_RANGE
    return {"norm": LogNorm(low, high) if wide else Normalize(low, high)}


def title_of(array: xr.DataArray) -> str:
    """What the array is, in words."""
    return str(array.attrs.get("long_name") or array.name).removesuffix(PARTS)


def units_of(array: xr.DataArray) -> str:
    """The units with raised exponents, empty for a number without dimension."""
    units = str(array.attrs.get("units", "1"))
    raised = re.sub(r"(?<=[A-Za-z)])(?<!\de)-?\d+", lambda m: m[0].translate(_RAISED), units)
    return "" if units == "1" else raised


def with_units(text: object, array: xr.DataArray) -> str:
    """An axis label: the text, and the array's units in brackets."""
    units = units_of(array)
    return f"{text} ({units})" if units else str(text)


def _wrapped(title: str) -> str:
    return textwrap.fill(title, TITLE_WIDTH)


def _colour_bar(ax: Axes, image: Any, array: xr.DataArray) -> None:
    """A bar as high as the panel, whose label tells units and, where it helps, a power of ten."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)))
    units, top = units_of(array), max(abs(image.norm.vmin), abs(image.norm.vmax))
    power = math.floor(math.log10(top)) if math.isfinite(top) and top > 0 else 0
    if isinstance(image.norm, LogNorm) or -3 <= power < 4:
        bar.set_label(units)
        return
    bar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:.4g}")
    bar.set_label(f"10{str(power).translate(_RAISED)} {units}".strip())


def _triangles(array: xr.DataArray, mesh: xr.Dataset | None) -> Any:
    """The triangulation of scattered nodes: the file's own, else that of Delaunay."""
    from matplotlib.tri import Triangulation

    if mesh is None or "face_node_connectivity" not in mesh:
        return Triangulation(array["x"], array["y"])
    faces = np.asarray(mesh["face_node_connectivity"])
    halves = [faces[:, :3]] if faces.shape[1] == 3 else [faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]
    return Triangulation(array["x"], array["y"], np.concatenate(halves))


@panel
def field_panel(
    ax: Axes,
    array: xr.DataArray,
    title: str,
    scale: Mapping[str, Any],
    overlay: Overlay | None = None,
    *,
    cmap: str = "viridis",
    mesh: xr.Dataset | None = None,
) -> None:
    """A map: cells of a grid, or triangles between nodes, with what lies over it."""
    x, y = array["x"], array["y"]
    colours: Any = {"cmap": cmap, **scale}
    image: Any
    if array.ndim == 2:
        values = array.transpose(*y.dims, *x.dims)
        image = ax.pcolormesh(x, y, values, shading="nearest", rasterized=True, **colours)
    else:
        shown = _triangles(array, mesh)
        image = ax.tripcolor(shown, array, shading="gouraud", rasterized=True, **colours)
    if overlay is not None:
        overlay.draw(ax, image)
    _colour_bar(ax, image, array)
    _plane(ax, title, x, y)


@panel
def places_panel(ax: Axes, dataset: xr.Dataset, overlay: Overlay, title: str) -> None:
    """An overlay alone: where electrodes are, by ``electrode_x`` and ``electrode_y``."""
    overlay.draw(ax)
    _plane(ax, title, *(dataset[f"electrode_{axis}"].rename(axis) for axis in "xy"))


def _plane(ax: Axes, title: str, x: xr.DataArray, y: xr.DataArray) -> None:
    labels = {"xlabel": with_units(x.name, x), "ylabel": with_units(y.name, y)}
    ax.set(title=_wrapped(title), aspect="equal", **labels)


@panel
def band_panel(ax: Axes, mean: xr.DataArray, sd: xr.DataArray, truth: xr.DataArray | None) -> None:
    """A field over one coordinate: mean with a band of two standard deviations."""
    x, order = _abscissa(mean)
    centre, width = mean.values[order], 2 * sd.values[order]
    ax.fill_between(x, centre - width, centre + width, color=BLUE, alpha=0.2, lw=0, label="± 2 sd")
    ax.plot(x, centre, color=BLUE, label="posterior mean")
    if truth is not None:
        ax.plot(x, truth.values[order], color=RED, ls="--", label="truth")
    ax.set(title=_wrapped(title_of(mean)), xlabel=with_units(x.name, x), ylabel=units_of(mean))
    ax.legend(frameon=False)


@panel
def line_panel(ax: Axes, lines: Sequence[tuple[xr.DataArray, str]], title: str) -> None:
    """Lines over one coordinate, each with its label or none."""
    from matplotlib.ticker import MaxNLocator

    for line, text in lines:
        x, order = _abscissa(line)
        ax.plot(x, line.values[order], lw=1.2, label=text or None)
    along = with_units(x.name, x)
    ax.set(title=_wrapped(title), xlabel=along, ylabel=units_of(lines[0][0]))
    if _counts(x):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if any(text for _, text in lines):
        _legend(ax, len(lines))


def _legend(ax: Axes, n: int) -> None:
    ax.legend(fontsize=7, framealpha=0.7, edgecolor="none", ncols=1 + n // 4)


def _abscissa(line: xr.DataArray) -> tuple[xr.DataArray, np.ndarray[Any, Any]]:
    """The coordinate that a line runs over, in increasing order, and that order."""
    (dim,) = line.dims
    x = line[next((c for c in ("x", "y", "z") if c in line.coords and line[c].ndim), dim)]
    order = np.argsort(x.values)
    return x[order], order


def _counts(x: xr.DataArray) -> bool:
    """Whether a coordinate numbers things."""
    return not units_of(x) and bool((x.values == np.round(x.values)).all())


@panel
def histogram(
    ax: Axes, values: np.ndarray[Any, Any], title: str, units: str, truth: float | None
) -> None:
    """The marginal of one number."""
    ax.hist(values, bins=min(40, max(1, len(values) // 10)), color=BLUE, alpha=0.7)
    ax.axvline(float(values.mean()), color=BLUE, label="mean")
    if truth is not None:
        ax.axvline(truth, color=RED, ls="--", label="truth")
    ax.set(title=_wrapped(title), xlabel=units, yticks=[])
    ax.legend(frameon=False)


@panel
def sensor_panel(
    ax: Axes, dataset: xr.Dataset, values: xr.DataArray, title: str, cmap: str = "viridis"
) -> None:
    """Values where they were measured."""
    size = max(6.0, min(60.0, 6000.0 / max(1, values.size)))
    colours: Any = {"cmap": cmap, **colour_scale(values)}
    dots = ax.scatter(dataset["x"], dataset["y"], c=values, s=size, lw=0, **colours)
    _colour_bar(ax, dots, values)
    _plane(ax, title, dataset["x"], dataset["y"])


@panel
def series_panel(
    ax: Axes, parts: Sequence[tuple[xr.Dataset, str]], name: str, along: str | None, title: str
) -> None:
    """Values over a coordinate, or in file order, with bars of two standard deviations."""
    for k, (part, text) in enumerate(parts):
        x = np.arange(part[name].size) if along is None else part[along]
        sigma = part.get(f"{name}_sigma")
        bars = None if sigma is None else 2 * sigma
        ax.errorbar(x, part[name], bars, fmt=".", ms=4, color=f"C{k}", elinewidth=0.7, label=text)
    first = parts[0][0]
    label = "datum" if along is None else with_units(along, first[along])
    ax.set(title=_wrapped(title), xlabel=label, ylabel=units_of(first[name]))
    if len(parts) > 1:
        _legend(ax, len(parts))
