"""Panels without a map: lines and bands over one coordinate, numbers, and series of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.io.body import CELL
from pdeinv.jobs.plot.panels import (
    BLUE,
    GREY,
    RED,
    axis_name,
    legend_below,
    panel,
    units_of,
    with_units,
    wrapped,
)
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "DOTS",
    "INTERVAL",
    "Band",
    "band_panel",
    "histogram",
    "line_panel",
    "series_panel",
    "time_panel",
    "value_panel",
]

DOTS: Any = {"fmt": ".", "ms": 4, "color": GREY, "elinewidth": 0.7, "label": "data, two sd"}
INTERVAL = "95 % interval"
TICKS = 4
"""Numbers with many digits have room for so many intervals below a histogram."""
WRITTEN = 8
"""So many values of a point estimate are written beside their markers at most."""


@dataclass(frozen=True)
class Band:
    """An estimate with its uncertainty, all over the same coordinate.

    Attributes:
        centre: the estimate.
        name: what it is, in words.
        low: 2.5 % of the draws lie below; None for a point estimate.
        high: 2.5 % of the draws lie above.
    """

    centre: xr.DataArray
    name: str
    low: xr.DataArray | None = None
    high: xr.DataArray | None = None

    @classmethod
    def of(cls, centre: xr.DataArray, name: str, draws: xr.DataArray | None) -> Band:
        """With the quantiles of ``draws`` (chain, draw, ...), so that no bound is crossed."""
        if draws is None:
            return cls(centre, name)
        low, high = (
            draws.quantile(q, ("chain", "draw"), keep_attrs=True).drop_vars("quantile")
            for q in (0.025, 0.975)
        )
        return cls(centre, name, low, high)


@panel
def band_panel(
    ax: Axes,
    band: Band,
    truth: xr.DataArray | None,
    title: str,
    data: xr.Dataset | None = None,
) -> None:
    """A field over one coordinate with its interval, and the truth over its own.

    Values of cells are drawn as steps, those of numbered things as points. Data have ``value`` and
    ``sigma`` over ``obs`` with the coordinate.
    """
    draw = _points if _counts(_abscissa(band.centre)[0]) else _course
    draw(ax, band)
    x = _abscissa(band.centre)[0]
    if truth is not None:
        mark = "x" if draw is _points else ""
        ax.plot(*_curve(truth), color=RED, ls="" if mark else "--", marker=mark, label="truth")
    if data is not None:
        ax.errorbar(data[x.name], data["value"], 2 * data["sigma"], **DOTS)
    ax.set(title=wrapped(title), xlabel=_label(x), ylabel=units_of(band.centre))
    legend_below(ax)


def _course(ax: Axes, band: Band) -> None:
    if band.low is not None and band.high is not None:
        x, low = _curve(band.low)
        ax.fill_between(x, low, _curve(band.high)[1], color=BLUE, alpha=0.2, lw=0, label=INTERVAL)
    ax.plot(*_curve(band.centre), color=BLUE, label=band.name)


def _points(ax: Axes, band: Band) -> None:
    x, order = _abscissa(band.centre)
    bars, text = None, band.name
    if band.low is not None and band.high is not None:
        bars = _reach(band.centre.values, band.low.values, band.high.values)[:, order]
        text = f"{band.name}, {INTERVAL}"
    ax.errorbar(x, band.centre.values[order], bars, fmt="o", ms=3, color=BLUE, lw=1, label=text)
    _whole_ticks(ax)


def _reach(centre: Array, low: Array, high: Array) -> Array:
    """How far an interval reaches below and above, shape (2, n)."""
    return np.maximum(np.stack([centre - low, high - centre]), 0.0)


def _curve(line: xr.DataArray) -> tuple[Array, Array]:
    """What to draw a line through: its values, or for those of cells both ends of each cell."""
    x, order = _abscissa(line)
    at, values = np.asarray(x), line.values[order]
    if x.attrs.get("location") != CELL or len(at) < 2:
        return at, values
    inner = 0.5 * (at[1:] + at[:-1])
    edges = np.concatenate([[2 * at[0] - inner[0]], inner, [2 * at[-1] - inner[-1]]])
    return np.repeat(edges, 2)[1:-1], np.repeat(values, 2)


@panel
def line_panel(ax: Axes, lines: Sequence[tuple[xr.DataArray, str]], title: str) -> None:
    """Lines over one coordinate, each with its label or none; one of numbered things is points."""
    x = _abscissa(lines[0][0])[0]
    apart = len(lines) == 1 and _counts(x)
    style: Any = {"ls": "", "marker": "o", "ms": 3} if apart else {"lw": 1.2}
    for line, text in lines:
        ax.plot(*_curve(line), label=text or None, **style)
    ax.set(title=wrapped(title), xlabel=_label(x), ylabel=units_of(lines[0][0]))
    if _counts(x):
        _whole_ticks(ax)
    if any(text for _, text in lines):
        legend_below(ax)


def _label(x: xr.DataArray) -> str:
    return with_units(axis_name(x), x)


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


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
    ax.set(title=wrapped(title), xlabel=units, yticks=[])
    ax.locator_params(axis="x", nbins=TICKS)
    legend_below(ax)


@panel
def value_panel(
    ax: Axes, band: Band, truth: xr.DataArray | None, prior: Array | None, title: str
) -> None:
    """A few numbers of a point estimate: a marker each with its value, one row per number.

    What 95 % of the prior's draws (n, numbers) cover tells which distances are large.
    """
    values, rows = np.ravel(band.centre.values), np.arange(band.centre.size)
    if prior is not None:
        low, high = np.quantile(prior, [0.025, 0.975], axis=0)
        ax.hlines(rows, low, high, color=GREY, alpha=0.4, lw=4, label="prior")
    ax.plot(values, rows, "o", color=BLUE, label=band.name)
    if truth is not None:
        ax.plot(np.ravel(truth.values), rows, "x", color=RED, label="truth")
    for row, value in zip(rows[:WRITTEN], values, strict=False):
        place: Any = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
        ax.annotate(f"{value:.4g}", (value, row), color=BLUE, fontsize=8, **place)
    ticks: Any = rows if len(rows) > 1 else []
    ax.set(title=wrapped(title), xlabel=units_of(band.centre), yticks=ticks)
    ax.set_ylim(len(rows) - 0.3, -0.8)
    ax.margins(x=0.1)
    legend_below(ax)


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
    label = "datum" if along is None else _label(first[along])
    ax.set(title=wrapped(title), xlabel=label, ylabel=units_of(first[name]))
    if len(parts) > 1:
        legend_below(ax)


@panel
def time_panel(ax: Axes, parts: Sequence[xr.Dataset], title: str) -> None:
    """Data (dots) over time ``t`` with what is predicted: a line, and its interval if it has one.

    Args:
        ax: where.
        parts: data of one place each: ``observed``, ``predicted`` and maybe ``low`` and ``high``.
        title: of the panel.
    """
    places = [c for c in parts[0].coords if c not in ("obs", "t")]
    for k, part in enumerate(parts):
        p, colour = part.sortby("t"), f"C{k}"
        if "low" in p:
            ax.fill_between(p["t"], p["low"], p["high"], color=colour, alpha=0.2, lw=0)
        ax.plot(p["t"], p["predicted"], color=colour, lw=1.0)
        label = ", ".join(f"{float(p[c][0]):.3g}" for c in places)
        ax.plot(p["t"], p["observed"], ".", ms=4, color=colour, label=label)
    first = parts[0]
    ax.set(title=wrapped(title), xlabel=_label(first["t"]), ylabel=units_of(first["observed"]))
    if places:
        named = with_units(", ".join(map(str, places)), first[places[0]])
        legend_below(ax, title=named)
