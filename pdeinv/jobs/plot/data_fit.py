"""Panels of what a result predicts: against the data, and over time where the data have one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.links import LINKS
from pdeinv.io.kinds import kinds_in
from pdeinv.jobs.plot.gathers import fit_gathers
from pdeinv.jobs.plot.lines import INTERVAL, time_panel
from pdeinv.jobs.plot.panels import BLUE, GREY, Panel, panel, with_units
from pdeinv.jobs.plot.samples import kinds_of, of_zeros_and_ones
from pdeinv.jobs.plot.slices import series
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fit_panels"]

MAX_PLACES = 4
"""So many places are drawn over time at most."""


@dataclass(frozen=True)
class _Fit:
    """Data and their prediction, each over obs.

    Attributes:
        observed: the data.
        predicted: without noise: of the point, or the mean over draws.
        low: with noise, 2.5 % of the predictions lie below; None for a point estimate.
        high: 2.5 % lie above.
        what: what the predictions are, for the label.
        several: whether data are of several quantities, each over a scale of its own.
    """

    observed: xr.DataArray
    predicted: Array
    low: Array | None
    high: Array | None
    what: str = "predicted"
    several: bool = False

    @classmethod
    def of(cls, observed: xr.DataArray, draws: xr.Dataset, point: bool) -> _Fit:
        """Of some data and their predictions."""
        name, over = str(observed.name), ("chain", "draw")
        clean = draws[f"{name}_noise_free"] if f"{name}_noise_free" in draws else draws[name]
        link = LINKS.get(observed.attrs.get("likelihood_link", ""))
        if link is not None and of_zeros_and_ones(observed):
            # what is predicted is z, and a 1 has the probability p(z)
            p = clean.copy(data=link.probability(clean.values))
            low, high = (None, None) if point else p.quantile([0.025, 0.975], over).values
            return cls(observed, p.mean(over).values, low, high, "probability of")
        if point:
            return cls(observed, clean.mean(over).values, None, None)
        low, high = draws[name].quantile([0.025, 0.975], over).values
        return cls(observed, clean.mean(over).values, low, high)

    def labelled(self, what: str) -> str:
        """An axis of data, with their units where they have the same."""
        if self.several:
            return f"{what} / scale"
        return with_units(f"{what} {self.observed.name}", self.observed)

    @property
    def of_chances(self) -> bool:
        """Whether data are zeros and ones, and predictions their probabilities."""
        return self.what != "predicted"


def fit_panels(tree: xr.DataTree, point: bool) -> list[Panel]:
    """Observed against predicted data of each kind; with a coordinate ``t`` also over time."""
    observed = next(iter(tree["observed_data"].to_dataset().data_vars.values()))
    draws, constants = (tree[k].to_dataset() for k in ("posterior_predictive", "constant_data"))
    found = []
    for title, rows in _kinds(constants, observed.size):
        own = constants.isel(obs=rows)
        fit = _Fit.of(observed.isel(obs=rows), draws.isel(obs=rows), point)
        fit = replace(fit, several=any(kinds_in(v) for v in own.data_vars.values()))
        found.append(_fit_panel(fit, title))
        found += fit_gathers(fit.observed, fit.predicted, own)
        if "t" in own and len(np.unique(own["t"])) > 1 and not fit.of_chances:
            found.append(_over_time(fit, own))
    return found


def _kinds(constants: xr.Dataset, size: int) -> list[tuple[str, NDArray[np.intp]]]:
    """The rows of each kind of data, with a title."""
    told = kinds_of(constants)
    if told is None:
        return [("data fit", np.arange(size))]
    numbers = np.asarray(constants[told[0]])
    rows = [(word, np.flatnonzero(numbers == k)) for k, word in told[1].items()]
    return [(f"data fit: {word}", own) for word, own in rows if len(own)]


@panel
def _fit_panel(ax: Axes, fit: _Fit, title: str) -> None:
    """Points on the line fit; bars are intervals of the predicted data, noise included."""
    y, predicted = fit.observed, fit.predicted
    both = np.concatenate([y.values, predicted])
    ends = [both.min(), both.max()]
    bars, said = None, ""
    if fit.low is not None and fit.high is not None:
        bars = np.maximum([predicted - fit.low, fit.high - predicted], 0.0)
        said = f"\n{INTERVAL}" + " with noise" * (not fit.of_chances)
    ax.plot(ends, ends, color=GREY, lw=0.8)
    ax.errorbar(y, predicted, bars, fmt=".", ms=3, color=BLUE, elinewidth=0.6, alpha=0.8)
    labels = [fit.labelled(what) for what in ("observed", fit.what)]
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1] + said, box_aspect=1)


def _over_time(fit: _Fit, constants: xr.Dataset) -> Panel:
    """The data of a few places over time, with what is predicted."""
    coords = {
        str(k): v
        for k, v in constants.variables.items()
        if v.dims == ("obs",) and k not in ("obs", "noise_std")
    }
    variables = {"observed": fit.observed.variable, "predicted": ("obs", fit.predicted)}
    if fit.low is not None:
        variables |= {"low": ("obs", fit.low), "high": ("obs", fit.high)}
    parts = series(xr.Dataset(variables, coords), "obs", along="t")[1]
    few = np.unique(np.linspace(0, len(parts) - 1, min(MAX_PLACES, len(parts))).round().astype(int))
    some = "" if len(few) == len(parts) else f", {len(few)} of {len(parts)} places"
    return time_panel([parts[k][0] for k in few], f"data (dots) and fit over time{some}")
