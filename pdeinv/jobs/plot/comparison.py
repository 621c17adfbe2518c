"""The picture of a surrogate against its reference: data, errors by draw, misfit differences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdeinv.jobs.plot.figure import draw
from pdeinv.jobs.plot.panels import BLUE, GREY, legend_below, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pdeinv.jobs.comparison import Comparison

__all__ = ["figure"]

COLOURS = {"prior": GREY, "posterior": BLUE}


def figure(found: Comparison, out: Path, dpi: int = 150) -> None:
    """Draw predicted against true data, the errors by draw, and the misfit differences.

    The name must end as :func:`pdeinv.jobs.plot.figure.check_figure_name` wants it.
    """
    draw([_agreement(found), _error_by_draw(found), _differences(found)], out, dpi)


@panel
def _agreement(ax: Axes, found: Comparison) -> None:
    observed = found.problem.observed
    for region in found.regions:
        good = region.good
        true, guessed = region.reference[good].ravel(), region.predicted[good].ravel()
        ax.plot(true, guessed, ".", ms=2, color=COLOURS[region.name], label=region.name)
    values = np.concatenate([r.reference.ravel() for r in found.regions])
    ends = [np.nanmin(values), np.nanmax(values)]
    ax.plot(ends, ends, color="black", lw=0.6)
    unit = "" if observed.units == "1" else f" ({observed.units})"
    ax.set(xlabel=f"{observed.name}{unit}, reference", ylabel="surrogate", title="data")
    legend_below(ax)


@panel
def _error_by_draw(ax: Axes, found: Comparison) -> None:
    for region in found.regions:
        norm = np.linalg.norm(region.xi, axis=1)
        rms = region.rms_over_sigma(found.noise)
        ax.plot(norm, rms, ".", color=COLOURS[region.name], label=region.name)
    ax.axhline(1.0, color="black", lw=0.6)
    ax.set_yscale("log")
    ax.set(xlabel="‖ξ‖", ylabel="rms error / σ", title="error of each draw")


@panel
def _differences(ax: Axes, found: Comparison) -> None:
    for region in found.regions:
        values = region.misfit_difference(found.noise, found.data)[region.good]
        values = np.sort(np.abs(values))
        share = np.arange(1, len(values) + 1) / max(1, len(values))
        ax.step(np.maximum(values, 1e-12), share, where="post", color=COLOURS[region.name])
    ax.set_xscale("log")
    ax.axvline(1.0, color="black", lw=0.6)
    ax.set(xlabel="|misfit difference|", ylabel="share of draws", title="what an inversion sees")
