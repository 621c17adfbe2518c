"""The panels of a figure: each function returns a drawing that is put into axes later."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate

import numpy as np
import xarray as xr

from pdeinv.io.body import CELL
from pdeinv.jobs.plot.overlays import Overlay
from pdeinv.model.simplices import Simplices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "GREY",
    "CutPanel",
    "Panel",
    "RED",
    "axis_name",
    "colour_bar",
    "colour_scale",
    "field_panel",
    "is_log",
    "joined",
    "legend_below",
    "panel",
    "places_panel",
    "plane",
    "sensor_panel",
    "title_of",
    "units_of",
    "with_units",
    "wrapped",
]

Panel = Callable[["Axes"], None]
"""Draws one panel into its axes."""


@dataclass(frozen=True)
class CutPanel:
    """A panel that is one of three cuts through a solid.

    Attributes:
        panel: what draws it.
        flat: whether the solid is flat: much less high than wide.
    """

    panel: Panel
    flat: bool = False

    def __call__(self, ax: Axes) -> None:
        """Draw it."""
        self.panel(ax)


def panel[**P](draw: Callable[Concatenate[Axes, P], None]) -> Callable[P, Panel]:
    """Make a function of axes and what to draw a function of what to draw: the axes come later."""

    @wraps(draw)
    def later(*args: P.args, **kwargs: P.kwargs) -> Panel:
        return lambda ax: draw(ax, *args, **kwargs)

    return later


TITLE_WIDTH = 40
LABEL_HEIGHT = 0.42
"""From the lower edge of a panel to below its x label, in inches."""
LEGEND_WIDTH, HANDLE = 60, 7
"""How many letters of a legend a panel is wide, and how many the sign before a text takes."""
LOG_RANGE = 10.0
"""Positive fields that span more than this factor together are on a logarithmic scale."""
BLUE, GREY, RED = "#1f5a99", "#555555", "#c0392b"


BALANCED = 0.2
"""A field with both signs, the smaller this part of the larger, has colours that diverge from 0."""
PARTS = ", component 0 real, 1 imaginary"
"""What a long name says of an axis that a panel has taken apart."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def colour_scale(*arrays: xr.DataArray) -> dict[str, Any]:
    """One colour scale for all arrays.

    Logarithmic where all are positive and span more than a decade together, symmetric where they
    have both signs.
    """
    from matplotlib.colors import LogNorm, Normalize

    low = min(float(a.min()) for a in arrays)
    high = max(float(a.max()) for a in arrays)
    if low < 0 < high and min(-low, high) > BALANCED * max(-low, high):
        top = max(-low, high)
        return {"norm": Normalize(-top, top), "cmap": "RdBu_r"}
    wide = low > 0 and high / low > LOG_RANGE
    return {"norm": LogNorm(low, high) if wide else Normalize(low, high)}


def is_log(scale: Mapping[str, Any]) -> bool:
    """Whether a colour scale is logarithmic."""
    from matplotlib.colors import LogNorm

    return isinstance(scale["norm"], LogNorm)


def title_of(array: xr.DataArray) -> str:
    """What the array is, in words."""
    return str(array.attrs.get("long_name") or array.name).removesuffix(PARTS)


def units_of(array: xr.DataArray) -> str:
    """The units with raised exponents, empty for a number without dimension."""
    units = str(array.attrs.get("units", "1"))
    raised = re.sub(r"(?<=[A-Za-z)])(?<!\de)-?\d+", lambda m: m[0].translate(_RAISED), units)
    return "" if units == "1" else raised


def axis_name(coord: xr.DataArray) -> str:
    """What a coordinate is called: its name, or ``time`` where its attributes say that it is one.

    The axis of a quantity in time may be named after what carries its values, such as knots.
    """
    said = [str(coord.attrs.get(k, "")) for k in ("standard_name", "long_name")]
    timely = coord.name == "t" or coord.attrs.get("axis") == "T"
    return "time" if timely or any(s.split(" ")[0] == "time" for s in said) else str(coord.name)


def with_units(text: object, array: xr.DataArray) -> str:
    """An axis label: the text, and the array's units in brackets."""
    units = units_of(array)
    return f"{text} ({units})" if units else str(text)


def wrapped(title: str) -> str:
    """A title on as many lines as it needs."""
    return "\n".join(textwrap.fill(line, TITLE_WIDTH) for line in title.splitlines())


def legend_below(ax: Axes, **how: Any) -> None:
    """A legend under the panel and its x label, where no data can be, as wide as its texts allow.

    The layout of the figure makes room for it.
    """
    from matplotlib.transforms import ScaledTranslation

    texts = ax.get_legend_handles_labels()[1]
    most = max(1, LEGEND_WIDTH // (max(map(len, texts), default=0) + HANDLE))
    rows = math.ceil(len(texts) / most)
    below = ScaledTranslation(0.0, -LABEL_HEIGHT, ax.figure.dpi_scale_trans)
    placed: Any = {"loc": "upper center", "bbox_transform": ax.transAxes + below}
    style: Any = {"fontsize": 7, "title_fontsize": 7, "frameon": False, "columnspacing": 1.2}
    columns = math.ceil(len(texts) / max(1, rows))
    ax.legend(bbox_to_anchor=(0.5, 0.0), ncols=columns, borderaxespad=0, **placed, **style, **how)


def colour_bar(ax: Axes, image: Any, array: xr.DataArray, note: str = "") -> None:
    """A bar as high as the panel, whose label tells units and, where it helps, a power of ten.

    A logarithmic one says that it is; ``note`` is what another one says of itself.
    """
    from matplotlib.ticker import FuncFormatter

    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)))
    units, top = units_of(array), max(abs(image.norm.vmin), abs(image.norm.vmax))
    power = math.floor(math.log10(top)) if math.isfinite(top) and top > 0 else 0
    if is_log({"norm": image.norm}):
        bar.set_label(joined(units, "log scale"))
        return
    if -3 <= power < 4:
        bar.set_label(joined(units, note))
        return
    bar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:.4g}")
    bar.set_label(joined(f"10{str(power).translate(_RAISED)} {units}".strip(), note))


def joined(*texts: str) -> str:
    """What of a title or label is not empty, with commas between."""
    return ", ".join(t for t in texts if t)


@panel
def field_panel(
    ax: Axes,
    array: xr.DataArray,
    title: str,
    scale: Mapping[str, Any],
    overlay: Overlay | None = None,
    *,
    cmap: str = "viridis",
    mesh: Simplices | None = None,
) -> None:
    """A map over two of x, y and z: a grid, or nodes or cells of a mesh, with what lies over it.

    The colours are those of ``scale``, as :func:`colour_scale` makes it; its ``note`` is written at
    the colour bar.
    """
    x, y = (array[a] for a in "xyz" if a in array.coords and array[a].ndim == 1)
    colours: Any = {"cmap": cmap, **scale}
    note = colours.pop("note", "")
    image: Any
    if array.ndim == 2:
        values = array.transpose(*y.dims, *x.dims)
        image = ax.pcolormesh(x, y, values, shading="nearest", rasterized=True, **colours)
        if x.attrs.get("location") != CELL:
            _end_at_nodes(ax, image, x, y)
    else:
        image = _on_mesh(ax, array, mesh, colours)
    if overlay is not None:
        overlay.draw(ax, image)
    colour_bar(ax, image, array, note)
    plane(ax, title, x, y)


def _end_at_nodes(ax: Axes, image: Any, x: xr.DataArray, y: xr.DataArray) -> None:
    """Cut off the outer halves of the cells around the outer nodes, where the domain has ended."""
    from matplotlib.patches import Rectangle

    corner, size = (
        (float(x.min()), float(y.min())),
        (float(np.ptp(x.values)), float(np.ptp(y.values))),
    )
    image.set_clip_path(Rectangle(corner, *size, transform=ax.transData))


def _on_mesh(ax: Axes, array: xr.DataArray, mesh: Simplices | None, colours: Any) -> Any:
    """Triangles between nodes, or cells of one value each; those of Delaunay without a mesh."""
    from matplotlib.tri import Triangulation

    cells = None if mesh is None or mesh.cells.shape[1] != 3 else mesh.cells
    if mesh is not None and cells is not None and array.size == len(cells):
        shown = Triangulation(mesh.points[:, 0], mesh.points[:, 1], cells)
        return ax.tripcolor(shown, array, shading="flat", rasterized=True, **colours)
    fits = mesh is not None and array.size == len(mesh.points)
    shown = Triangulation(array["x"], array["y"], cells if fits else None)
    return ax.tripcolor(shown, array, shading="gouraud", rasterized=True, **colours)


@panel
def places_panel(ax: Axes, dataset: xr.Dataset, overlay: Overlay, title: str) -> None:
    """An overlay alone: where electrodes are, by ``electrode_x`` and ``electrode_y``."""
    overlay.draw(ax)
    plane(ax, title, *(dataset[f"electrode_{axis}"].rename(axis) for axis in "xy"))


def plane(ax: Axes, title: str, x: xr.DataArray, y: xr.DataArray) -> None:
    """Title and labels of a panel over two of x, y and z, of one scale; a depth goes downwards."""
    labels = {"xlabel": with_units(x.name, x), "ylabel": with_units(y.name, y)}
    ax.set(title=wrapped(title), aspect="equal", **labels)
    if y.attrs.get("positive") == "down" and not ax.yaxis_inverted():
        ax.invert_yaxis()


@panel
def sensor_panel(
    ax: Axes,
    dataset: xr.Dataset,
    values: xr.DataArray,
    title: str,
    cmap: str = "viridis",
    scale: Mapping[str, Any] | None = None,
) -> None:
    """Values where they were measured; the colours are those of ``scale``, else their own."""
    size = max(6.0, min(60.0, 6000.0 / max(1, values.size)))
    colours: Any = {"cmap": cmap, **(colour_scale(values) if scale is None else scale)}
    dots = ax.scatter(dataset["x"], dataset["y"], c=values, s=size, lw=0, **colours)
    colour_bar(ax, dots, values)
    plane(ax, title, dataset["x"], dataset["y"])
