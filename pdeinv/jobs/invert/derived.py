"""The posterior of quantities of interest: one more solve for each predictive draw."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.prior import Prior
from pdeinv.engines.base import Outcome
from pdeinv.jobs.invert.predictive import Predictive
from pdeinv.model.derived import Derived
from pdeinv.model.rows import each_row

__all__ = ["derived_draws"]

LEAD = ("chain", "draw")


def derived_draws(
    found: Derived | None, prior: Prior, outcome: Outcome, predictive: Predictive
) -> tuple[dict[str, xr.Dataset], Counters]:
    """The group ``derived`` with the quantities at the predictive draws, and what they cost.

    Draws whose solve fails hold NaN; without such quantities, or without any, there is no group.
    """
    cost = Counters()
    if found is None:
        return {}, cost
    chosen = np.ix_(predictive.chains, predictive.draws)
    points = prior.unwhiten(outcome.xi[chosen]) if outcome.m is None else outcome.m[chosen]
    rows = each_row(found.values, points.reshape(-1, points.shape[-1]))
    cost.count("reference", forward=len(rows.values), failed=len(rows.failures))
    if len(rows.failures) == len(rows.values):
        return {}, cost
    lost = np.full(found.space.size, np.nan)
    values = np.array([lost if v is None else v for v in rows.values])
    group = found.space.unpack(values.reshape(*points.shape[:2], -1), LEAD)
    return {"derived": group.assign_coords(chain=predictive.chains, draw=predictive.draws)}, cost
