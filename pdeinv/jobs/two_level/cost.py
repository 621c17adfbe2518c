"""Whether a surrogate pays: what one of its gradients costs beside one of the reference model."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.posterior import Posterior
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["DEAR", "advice", "cost_ratio"]

ROWS, SECONDS = 16, 0.1
"""Points of one call, as many chains ask for together; CPU time that a figure takes at least."""

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
    payers = [Counters() for _ in points]
    cheap, dear = (_least(partial(p.linearize_rows, points, payers)) for p in (coarse, posterior))
    return cheap / dear


def advice(ratio: float | None) -> str:
    """What follows for the choice of an engine; empty where the surrogate is cheap."""
    if ratio is None or ratio < DEAR:
        return ""
    return f"; a surrogate call takes {ratio:.2g} of a solve with its adjoint, so try engine hmc"


def _least(work: Callable[[], object]) -> float:
    found, began = np.inf, time.process_time()
    while time.process_time() - began < SECONDS:
        start = time.process_time()
        work()
        found = min(found, time.process_time() - start)
    return max(found, 1e-9)
