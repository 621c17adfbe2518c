"""Panels of data of several quantities, and of quantities of interest beside the data of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pdeinv.io.kinds import kinds_in
from pdeinv.jobs.plot.lines import DOTS, INTERVAL, Band, band_panel, histogram, value_panel
from pdeinv.jobs.plot.panels import (
    BLUE,
    Panel,
    axis_name,
    legend_below,
    panel,
    title_of,
    units_of,
    with_units,
    wrapped,
)
from pdeinv.jobs.plot.slices import is_line
from pdeinv.model.observed import Kind
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["derived_panels", "parted_kinds", "quantity_panels", "underived"]


def parted_kinds(dataset: xr.Dataset) -> list[xr.Dataset]:
    """An observation file of several quantities as one for each; nothing where there is one."""
    names = [str(v) for v in dataset.data_vars if f"{v}_sigma" in dataset]
    return [_of_one(dataset[[name, f"{name}_sigma"]], name) for name in names if len(names) > 1]


def _of_one(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Its data, without coordinates that they do not have."""
    (dim,) = dataset[name].dims
    found = dataset.isel({dim: np.flatnonzero(dataset[name].notnull())})
    return found.drop_vars([c for c in found.coords if found[c].isnull().all()])


def derived_panels(
    tree: xr.DataTree, truth: xr.DataTree | None, point: bool, named: Callable[[str], str]
) -> list[Panel]:
    """Quantities of interest: marginals of numbers, bands of profiles with the data of them.

    Args:
        tree: the result.
        truth: if known.
        point: whether the result is a point.
        named: a title with what the result claims.
    """
    group = tree.children.get("derived")
    if group is None:
        return []
    draws, real = group.to_dataset(inherit=False), None if truth is None else truth.to_dataset()
    measured = {kind.name: data for kind, data in _data(tree)}
    panels = []
    for name, values in draws.data_vars.items():
        true = None if real is None else real.get(name)
        data = measured.get(str(name))
        panels.append(_panel((values, named(title_of(values))), true, data, point))
    return panels


def underived(tree: xr.DataTree, truth: xr.DataTree) -> tuple[str, ...]:
    """Quantities of interest of a result that a truth does not hold as it shows them."""
    group, real = tree.children.get("derived"), truth.to_dataset()
    if group is None:
        return ()
    shown = group.to_dataset(inherit=False).data_vars.items()
    return tuple(
        str(name)
        for name, draws in shown
        if name not in real or (real[name].ndim > 0) != (draws.ndim > 2)
    )


def _panel(
    titled: tuple[xr.DataArray, str],
    true: xr.DataArray | None,
    data: xr.Dataset | None,
    point: bool,
) -> Panel:
    """One quantity of interest."""
    draws, title = titled
    mean = draws.mean(("chain", "draw"), keep_attrs=True)
    if is_line(mean) and mean.ndim == 1:
        band = Band.of(mean, "estimate" if point else "mean", None if point else draws)
        shown = None if data is None else _at_same(data, draws)
        along = true if true is not None and is_line(true) else None
        return band_panel(band, along, title, shown)
    if point:
        return value_panel(Band(mean, "estimate"), true, None, title)
    real = None if true is None or true.ndim else float(true)
    flat = np.ravel(draws.values)
    return histogram(flat[np.isfinite(flat)], title, units_of(draws), real)


def _at_same(data: xr.Dataset, draws: xr.DataArray) -> xr.Dataset | None:
    """The data of the experiment that a profile belongs to, by its coordinates that are numbers."""
    same = np.ones(data.sizes["obs"], dtype=bool)
    for name, value in draws.coords.items():
        if value.ndim == 0 and name in data:
            same &= np.isclose(data[name], float(value), rtol=1e-9, atol=0)
    return data.isel(obs=np.flatnonzero(same)) if same.any() else None


def _data(tree: xr.DataTree) -> list[tuple[Kind, xr.Dataset]]:
    """The data of each kind in its units: ``value`` and ``sigma``, with what predicts them."""
    constants = tree["constant_data"].to_dataset()
    numbers = next((v for v in constants.data_vars.values() if kinds_in(v)), None)
    if numbers is None or "noise_std" not in constants:
        return []
    (observed,) = tree["observed_data"].to_dataset().data_vars.values()
    out = []
    for k, kind in enumerate(kinds_in(numbers)):
        own = np.flatnonzero(np.asarray(numbers) == k)
        if not len(own):
            continue
        columns = {"value": observed.values[own] * kind.scale,
                   "sigma": constants["noise_std"].values[own] * kind.scale}  # fmt: skip
        coords = {c: ("obs", constants[c].values[own], constants[c].attrs) for c in kind.coords}
        attrs = {"units": kind.units, "long_name": kind.long_name}
        data = {name: ("obs", column, attrs) for name, column in columns.items()}
        out.append((kind, xr.Dataset({**data, "number": ("obs", own)}, coords)))
    return out


def quantity_panels(tree: xr.DataTree, point: bool) -> list[Panel]:
    """Data of kinds that no profile shows, with what is predicted there, over what differs most."""
    group = tree.children.get("derived")
    shown = set() if group is None else {
        str(k) for k, v in group.to_dataset(inherit=False).data_vars.items() if v.ndim > 2
    }  # fmt: skip
    panels = []
    for kind, data in _data(tree):
        varies = {c: len(np.unique(data[c])) for c in kind.coords}
        along = max(varies, key=lambda c: varies[c])
        if kind.name not in shown and varies[along] > 1:
            panels.append(_over(tree, kind, data.sortby(along), along, point))
    return panels


def _over(tree: xr.DataTree, kind: Kind, data: xr.Dataset, along: str, point: bool) -> Panel:
    """Data over one coordinate with their prediction, without noise, point by point.

    A line would join data of different experiments.
    """
    (name,) = tree["observed_data"].to_dataset().data_vars
    draws = tree["posterior_predictive"].to_dataset()[f"{name}_noise_free"]
    predicted = draws.values[..., data["number"].values] * kind.scale
    rows = predicted.reshape(-1, predicted.shape[-1])
    spread = None if point else np.nanquantile(rows, [0.025, 0.975], axis=0)
    fit = _Fit(data, along, np.nanmean(rows, axis=0), spread)
    return _points_panel(fit, f"{kind.long_name}, data and fit")


@dataclass(frozen=True)
class _Fit:
    """Data of one kind with their prediction.

    Attributes:
        data: ``value`` and ``sigma`` over ``obs``.
        along: the coordinate to draw them over.
        predicted: the mean, or the point, (obs,).
        spread: the ends of an interval, (2, obs); None for a point.
    """

    data: xr.Dataset
    along: str
    predicted: Array
    spread: Array | None


@panel
def _points_panel(ax: Axes, fit: _Fit, title: str) -> None:
    """Data with two standard deviations, and the prediction with its interval beside them."""
    x, value = fit.data[fit.along], fit.data["value"]
    beside = 0.008 * float(np.ptp(x.values))
    bars = None if fit.spread is None else np.abs(fit.spread - fit.predicted)
    said = "estimate" if fit.spread is None else f"mean, {INTERVAL}"
    ax.errorbar(x + beside, fit.predicted, bars, fmt="o", ms=3, color=BLUE, lw=1, label=said)
    ax.errorbar(x - beside, value, 2 * fit.data["sigma"], **DOTS)
    ax.set(title=wrapped(title), xlabel=with_units(axis_name(x), x), ylabel=units_of(value))
    legend_below(ax)
