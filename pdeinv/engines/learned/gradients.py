"""The estimate moved down the misfit by L-BFGS, for models that offer a gradient and no Jacobian.

Φ(ξ) alone is lowered from the estimate on, and no further than the noise level asks: the number of
steps regularises, and coordinates in which prior departures are of one size keep them smooth
(iterative regularisation; Hanke 1991, Morozov 1966). A step costs one gradient or a few, where one
of Gauss-Newton asks a whole Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import PosteriorPoint
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.lbfgs import Memory
from pdeinv.engines.line_search import Point, wolfe_search
from pdeinv.engines.regularized.gauss_newton import GaussNewtonState
from pdeinv.engines.requests import Linearize, Steps
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["GradientSearch", "Slope"]

REMEMBERED = 20
"""Pairs of the memory."""

FIRST = 0.1
"""Length of the first step per root of its coordinates, in prior standard deviations."""


@dataclass(frozen=True)
class Slope:
    """What a search carries from step to step.

    Attributes:
        gradient: of Φ at the point, empty before the first step.
        memory: of L-BFGS.
    """

    gradient: Array
    memory: Memory

    @classmethod
    def unknown(cls, dim: int) -> Slope:
        """Before the first step."""
        return cls(np.zeros(0), Memory.empty(REMEMBERED, dim))


@dataclass(frozen=True)
class GradientSearch:
    """Steps of L-BFGS in ξ; the states are those of ``gauss-newton``, with p = ξ.

    Attributes:
        wanted: Φ at which it stops.
    """

    wanted: float

    def step(self, state: GaussNewtonState, slope: Slope) -> Steps[tuple[GaussNewtonState, Slope]]:
        """One step, from the gradient of the last."""
        start = Point(state.p, state.misfit, slope.gradient)
        if not len(slope.gradient):
            start = yield from _asked(state.p, np.zeros_like(state.p))
        if not np.isfinite(start.value) or not start.gradient.any():
            return replace(state, ended=Ended.STALLED), slope
        direction = slope.memory.descent_direction(start.gradient)

        def point_at(t: float) -> Steps[Point]:
            return _asked(state.p + t * direction, start.gradient)

        usual = FIRST * np.sqrt(direction.size) / float(np.linalg.norm(direction))
        first = 1.0 if slope.memory.n_pairs else usual
        new = yield from wolfe_search(point_at, start, direction, first)
        if new is start:
            return replace(state, ended=Ended.STALLED), slope
        difference = new.gradient - start.gradient
        further = Slope(new.gradient, slope.memory.remember(new.x - start.x, difference))
        ended = Ended.CONVERGED if new.value <= self.wanted else Ended.RUNNING
        promised = -float(start.gradient @ direction) / max(start.value, 1e-300)
        return replace(
            state, p=new.x, misfit=new.value, objective=new.value, decrement=promised,
            n=state.n + 1, ended=ended,
        ), further  # fmt: skip


def _asked(xi: Array, otherwise: Array) -> Steps[Point]:
    """Φ and its gradient, infinite where the solve fails."""
    try:
        at: PosteriorPoint = yield Linearize(xi)
    except SolverDiverged:
        return Point(xi, np.inf, otherwise)
    value = float(at.misfit)
    return Point(xi, value if np.isfinite(value) else np.inf, at.gradient - xi)
