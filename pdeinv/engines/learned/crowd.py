"""The estimate moved by Kalman updates of an ensemble about it, for models without derivatives.

Members begin at ξ₀ + z_j, z_j ~ N(0, I) and ξ₀ the estimate: departures are as large as those of
the prior. Tempered updates (:mod:`pdeinv.engines.eki`) lead them to the data, and their mean is the
point, which stays in the span of the members. It stops where the mean meets the noise level, and
at the latest where all of the data count in full: the mean of a posterior whose prior is N(ξ₀, I).

References: Iglesias, Law and Stuart (2013), Ensemble Kalman methods for inverse problems; Iglesias
and Yang (2021), Adaptive regularisation for ensemble Kalman inversion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.eki import END, Eki, EkiConfig, EkiState
from pdeinv.engines.ended import Ended
from pdeinv.engines.regularized.gauss_newton import GaussNewtonState
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import solved_rows
from pdeinv.typing import Array

__all__ = ["NOBODY", "CrowdSearch"]

NOBODY = EkiState(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), 0, 0.0, 0)
"""Members before the first step."""

MOST_FAILED = 0.5
"""Share of members that may fail at once."""


@dataclass(frozen=True)
class CrowdSearch:
    """Kalman updates; the states are those of ``gauss-newton``, with p = ξ, the mean.

    Attributes:
        wanted: Φ at which it stops.
        size: members; None for as many as ``eki`` has.
    """

    wanted: float
    size: int | None

    def begun(self, posterior: Posterior, at: Array, rng: np.random.Generator) -> Steps[EkiState]:
        """Members about the estimate that can be solved.

        Raises:
            RunFailed: more than half of them cannot, or the new ones keep failing.
        """

        def draw(_: Array, n: int) -> Array:
            return np.asarray(at + rng.standard_normal((n, posterior.dim)))

        xi = draw(np.zeros(0), EkiConfig(ensemble_size=self.size).members(posterior.dim))
        found = yield from solved_rows(posterior, xi, draw, MOST_FAILED)
        return EkiState(found.xi, found.predictions, found.misfit, found.replaced, 0.0, 0)

    def step(
        self,
        posterior: Posterior,
        state: GaussNewtonState,
        crowd: EkiState,
        rng: np.random.Generator,
    ) -> Steps[tuple[GaussNewtonState, EkiState]]:
        """One update, and Φ of the mean; the point is kept where that is no lower."""
        if not len(crowd.xi):
            crowd = yield from self.begun(posterior, state.p, rng)
        crowd = yield from Eki(EkiConfig(ensemble_size=self.size)).step(posterior, crowd, rng)
        mean = crowd.xi.mean(axis=0)
        value = float((yield Misfit(mean, trial=True)))
        better = value < state.misfit
        p, misfit = (mean, value) if better else (state.p, state.misfit)
        done = misfit <= self.wanted or crowd.t >= END
        ended = Ended.CONVERGED if done else Ended.RUNNING
        moved = replace(state, p=p, misfit=misfit, objective=misfit, n=state.n + 1, ended=ended)
        return moved, crowd
