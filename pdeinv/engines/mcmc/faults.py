"""Where a two-level run says that its surrogate is wrong: nothing accepted, or no estimate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pdeinv.engines.base import Chain
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["faults_of"]


def faults_of(chains: Sequence[Chain], rates: Array, estimates: xr.Dataset) -> str:
    """One clause that blames the surrogate, or nothing.

    Args:
        chains: the run, at least one record each.
        rates: acceptance rates of the reference model by chain.
        estimates: the group ``two_level``.
    """
    found, n = [], len(chains)
    stuck = sum(rate == 0 for rate in rates)
    if stuck:
        found.append(f"the reference model accepted no proposal in {stuck} of {n} chains")
    corrected = any(not np.isnan(c.records["base_misfit"]).all() for c in chains)
    if corrected and not bool(estimates["finite"].sel(estimator="split")):
        found.append(
            "the split estimate has no value, since the base chain stays where the reference "
            "model does not"
        )
    if not found:
        return ""
    blame = f"{' and '.join(found)}: the likely cause is the surrogate, which is wrong there"
    return Ended.MISLED.sentence(blame)
