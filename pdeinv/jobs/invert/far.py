"""Estimates that the prior had all but excluded: units, data or the prior itself are then wrong."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.jobs.invert.components import ruled
from pdeinv.typing import Array

__all__ = ["far_from_prior"]

FAR = 6.0
"""Standard deviations of a component of xi: beyond lies one prior draw of 500 million."""


def far_from_prior(prior: Prior, xi: Array) -> str:
    """What to tell of the number of the unknown that is farthest from its prior; else nothing.

    Of fields, whose components are no place of their own, nothing is told.

    Args:
        prior: maps xi to the unknown.
        xi: draws, or one point, (chain, draw, dim).
    """
    size = np.abs(xi.mean(axis=(0, 1)))
    for i in np.argsort(-size):
        if not size[i] > FAR:
            return ""
        name = ruled(prior, int(i))
        if name:
            return (
                f"{name} lies {size[i]:.0f} standard deviations of xi from the middle of its "
                "prior: check units, data and prior"
            )
    return ""
