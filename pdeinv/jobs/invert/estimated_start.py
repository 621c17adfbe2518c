"""What a result says of the learned inverse that its engine began at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from pdeinv.engines.base import Outcome
from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

__all__ = ["told_of_start"]


def told_of_start(outcome: Outcome, estimate: Estimate | None) -> Outcome:
    """The outcome with the estimate as group ``learned_start`` and how far it ended from that.

    The distance of the point, or of the mean over all draws, is counted in the standard deviations
    that the inverse stated: its root mean square over the components of xi, and the largest.
    """
    if estimate is None or outcome.m is not None:
        return outcome
    off = estimate.distance(outcome.xi.mean(axis=(0, 1)))
    rms, worst = float(np.sqrt(np.mean(off**2))), int(np.argmax(np.abs(off)))
    said = (
        f"it began at the estimate of a learned inverse and ended {rms:.2g} of its standard "
        f"deviations from there (xi[{worst}] {abs(off[worst]):.2g})"
    )
    figures = {"start_distance": rms, "start_distance_max": float(np.abs(off[worst]))}
    return replace(
        outcome,
        note="; ".join(text for text in (outcome.note, said) if text),
        summary={**outcome.summary, **figures},
        groups={**outcome.groups, "learned_start": _group(estimate, off)},
    )


def _group(estimate: Estimate, off: Array) -> xr.Dataset:
    told = {
        "mean": (estimate.mean, "xi as a learned inverse estimates it"),
        "std": (estimate.std, "standard deviation of that estimate, as the inverse states it"),
        "distance": (off, "end of the search, or mean of the draws, less mean, over std"),
    }
    variables = {
        name: ("xi_dim", values, {"units": "1", "long_name": text})
        for name, (values, text) in told.items()
    }
    return xr.Dataset(variables)
