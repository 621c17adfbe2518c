"""Gradients of the misfit at rows of points, which the guidance of particles is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.posterior import Posterior, PosteriorPoint
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.requests import Linearize, Steps
from pdeinv.engines.solvable import Place, first_linearized
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["Slopes", "slopes", "steepest_of"]

POWERS = 12
"""Products of the power iteration: the largest curvature to some percent."""


@dataclass(frozen=True)
class Slopes:
    """Φ, shape (n,), and ∇Φ, shape (n, dim); both zero where a solve or derivative failed."""

    misfit: Array
    slope: Array


def slopes(posterior: Posterior, xi: Array, affine: Affine) -> Steps[Slopes]:
    """Those at each row of ``xi`` (n, dim): one solve and one adjoint each, none where affine.

    A particle whose solve fails is led by the prior alone in this step, and counted as failed.
    """
    if affine.known:
        misfit, slope = posterior.likelihood.slope(affine(xi), posterior.data)
        return Slopes(np.asarray(misfit), slope @ affine.jacobian)
    misfits, rows = np.zeros(len(xi)), np.zeros_like(xi)
    for i, x in enumerate(xi):
        try:
            at: PosteriorPoint = yield Linearize(x)
        except SolverDiverged:
            continue
        misfits[i], rows[i] = at.misfit, at.gradient - x
    return Slopes(misfits, rows)


def steepest_of(posterior: Posterior, rng: np.random.Generator) -> Steps[float]:
    """The largest eigenvalue of J^T F J at the prior mean, by power iteration.

    Raises:
        RunFailed: no point with derivatives was found.
    """
    start = rng.standard_normal(posterior.dim)

    def iterated(place: Place) -> Steps[float]:
        at: PosteriorPoint = yield Linearize(place.xi)
        v, length = start / np.linalg.norm(start), 0.0
        for _ in range(POWERS):
            v = at.gauss_newton(v)
            length = float(np.linalg.norm(v))
            v = v / max(length, 1e-300)
        return length

    return (yield from first_linearized(rng, np.zeros(posterior.dim), iterated))
