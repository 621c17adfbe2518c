"""Where a two-level run says that its surrogate is wrong: nothing accepted, or no estimate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pdeinv.engines.base import Chain
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["FEW", "faults_of", "slowed"]

STILL, FEW = 0.2, 40
"""The longest standstill of a chain that is no fault, as a share of its draws, and in draws; of a
run that a budget ended, so few draws blame nobody."""

SLOW = 0.2
"""Below this rate of acceptance the surrogate is what costs draws."""


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
    still = max((_standstill(c.records["misfit"]) for c in chains), default=0.0)
    if still > STILL and not stuck:
        found.append(
            f"a chain stood still for {still:.0%} of its draws, the reference model refusing all "
            "proposals"
        )
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


def slowed(rates: Array, sd: float) -> str:
    """A clause that names the surrogate where it costs most of the draws; else nothing."""
    rate = float(np.mean(rates))
    if rate >= SLOW:
        return ""
    return (
        f"the surrogate holds the chains back: the reference model accepts {rate:.0%} of its "
        f"proposals, with an sd of the misfit difference of {sd:.2g}; train it further (a smaller "
        "target_sd)"
    )


def _standstill(misfit: Array) -> float:
    """The share of draws in the longest run of one state, where that is more than a few."""
    changes = np.flatnonzero(np.diff(misfit))
    ends = np.concatenate([[-1], changes, [len(misfit) - 1]])
    longest = int(np.diff(ends).max())
    return longest / len(misfit) if longest > FEW else 0.0
