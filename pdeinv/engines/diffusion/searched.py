"""The best point near a centre: the least of Φ(x) + ‖x - z‖² / 2 r², by damped Gauss-Newton steps.

A function of the centre alone, so that a Gaussian about it may be proposed from whatever the state
of a chain is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.diffusion.conditioned import Tie
from pdeinv.engines.diffusion.local import Curvature, Local, located, seen
from pdeinv.engines.requests import Steps
from pdeinv.typing import Array

__all__ = ["TYPICAL", "best_near"]

MOST = 8
"""Steps at most; those from denoised fields of another mode are many, the last ones few."""

TYPICAL = 3
"""Whole Jacobians of a search whose centre is not far, with a solve for each: what is foretold."""

ENOUGH = 0.2
"""A decrease that a step is not made for, in units of the negative log density."""

HALVINGS = 6
"""How often a step is halved at most."""

ARMIJO = 1e-4
"""The share of the decrease of the tangent that a step has to bring at least."""


def best_near(
    posterior: Posterior, tie: Tie, affine: Affine, shared: Curvature, most: int = MOST
) -> Steps[Local]:
    """The best point near each centre of ``tie``, with the likelihood there.

    A row whose solve or derivative fails at the centre has an infinite misfit; one that fails later
    stays at the last point that did not.

    Args:
        posterior: whose likelihood it is.
        tie: centres, which the search begins at.
        affine: the model, where it is known to be affine: one step is the whole search.
        shared: its curvature, in that case.
        most: steps at most.
    """
    at = yield from located(posterior, tie.centre, affine, shared)
    if affine.known:
        return (yield from located(posterior, tie.newton(at), affine, shared))
    still = np.isfinite(at.misfit)
    for _ in range(most):
        step = tie.newton(at) - at.xi
        gain = -np.sum((at.slope + (at.xi - tie.centre) / tie.r**2) * step, axis=-1)
        still = still & (gain > ENOUGH)
        if not still.any():
            break
        share = yield from _shares(posterior, tie, at, step, gain, still)
        still = still & (share > 0)
        if not still.any():
            break
        rows = np.flatnonzero(still)
        xi = at.xi[rows] + share[rows, None] * step[rows]
        there = yield from located(posterior, xi, affine, shared)
        good = np.isfinite(there.misfit)
        still[rows[~good]] = False
        at = at.with_rows(rows[good], there.rows(good))
    return at


def _shares(
    posterior: Posterior,
    tie: Tie,
    at: Local,
    step: Array,
    gain: Array,
    open_rows: NDArray[np.bool_],
) -> Steps[Array]:
    """How much of each step to make, halved until it brings what it should; 0 where none does."""
    here, share, left = tie.log_density(at.seen), np.zeros(len(gain)), open_rows.copy()
    for k in range(HALVINGS):
        rows, t = np.flatnonzero(left), 0.5**k
        there = yield from seen(posterior, at.xi[rows] + t * step[rows], Affine.unknown())
        density = tie.rows(rows).log_density(there)
        enough = density - here[rows] > ARMIJO * t * gain[rows]
        share[rows[enough]] = t
        left[rows[enough]] = False
        if not left.any():
            break
    return share
