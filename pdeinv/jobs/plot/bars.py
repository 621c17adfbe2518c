"""Panels of numbers that have names, such as the weight of each reaction: the largest as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.panels import BLUE, Panel, panel, title_of, units_of, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bar_panels"]

SHOWN = 12
"""So many are drawn, the largest."""
LONGEST = 40
"""Characters of a name."""


def bar_panels(dataset: xr.Dataset) -> list[Panel]:
    """One panel for each variable over a dimension that another variable names the entries of."""
    texts = [v for v in dataset.variables.values() if v.ndim == 1 and v.dtype.kind in "OUT"]
    names = {v.dims[0]: [str(text) for text in v.values.tolist()] for v in texts}
    return [
        _bars_panel(array, names[array.dims[0]], title_of(array))
        for array in dataset.data_vars.values()
        if array.ndim == 1 and array.dtype.kind == "f" and array.dims[0] in names
    ]


@panel
def _bars_panel(ax: Axes, array: xr.DataArray, names: list[str], title: str) -> None:
    """The entries that are largest in size, the largest on top."""
    chosen = np.argsort(-np.abs(array.values), kind="stable")[:SHOWN][::-1]
    labels = [
        names[i] if len(names[i]) <= LONGEST else names[i][: LONGEST - 3] + "..." for i in chosen
    ]
    places = np.arange(len(chosen))
    ax.barh(places, array.values[chosen], color=BLUE, alpha=0.7)
    ax.axvline(0.0, color="black", lw=0.8)
    ax.set_yticks(places, labels, fontsize=7)
    ax.set(title=wrapped(title), xlabel=units_of(array))
