"""The panel of a search through bands of frequencies: the misfit of each at its start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.panels import BLUE, GREY, Panel, legend_below, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["stage_panels"]


def stage_panels(tree: xr.DataTree) -> list[Panel]:
    """One panel, where the result has the group ``bands``."""
    found = tree.children.get("bands")
    return [] if found is None else [_bands_panel(found.to_dataset(inherit=False))]


@panel
def _bands_panel(ax: Axes, bands: xr.Dataset) -> None:
    """Bars of both, one pair for each band that was begun, on a logarithmic axis."""
    begun = np.isfinite(bands["misfit_start"].values)
    places = np.arange(int(begun.sum()))
    for name, colour, side in (("start", GREY, -0.2), ("end", BLUE, 0.2)):
        values = bands[f"misfit_{name}"].values[begun]
        ax.bar(places + side, values, 0.4, color=colour, label=f"at its {name}")
    ax.set_xticks(places, [f"{c:g}" for c in bands["band"].values[begun]])
    ax.set_yscale("log")
    ax.set(title="misfit by band", xlabel="upper corner (per unit of time)", ylabel="misfit")
    legend_below(ax)
