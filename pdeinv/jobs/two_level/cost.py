"""Whether a surrogate pays: what one of its gradients costs beside one of the reference model."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.jobs.cost import ROWS, gradient_seconds
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["DEAR", "advice", "cost_ratio"]

DEAR = 0.1
"""A share above which walking the surrogate takes most of the time: for one solve a step of
``two-level`` makes some tens of surrogate calls; one of ``hmc`` makes two or three solves."""


def cost_ratio(posterior: Posterior, xis: Array) -> float | None:
    """CPU time of a surrogate's value and gradient over that of the reference model, by rows.

    Args:
        posterior: with its coarse twin.
        xis: where, (n, dim); draws of the posterior.

    Returns:
        None where one of them has no gradient, or no twin is there.
    """
    coarse = posterior.coarse
    if coarse is None or not all(p.model.capabilities >= DERIVATIVES for p in (posterior, coarse)):
        return None
    points = xis[np.unique(np.linspace(0, len(xis) - 1, ROWS).astype(int))]
    return gradient_seconds(coarse, points) / gradient_seconds(posterior, points)


def advice(ratio: float | None) -> str:
    """What follows for the choice of an engine; empty where the surrogate is cheap."""
    if ratio is None or ratio < DEAR:
        return ""
    return f"; a surrogate call takes {ratio:.2g} of a solve with its adjoint, so try engine hmc"
