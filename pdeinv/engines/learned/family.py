"""The most probable member of the family that was learned: MAP under a prior fitted to images.

min ½ ‖Γ^(-1/2)(G(m(z)) - y)‖² + ½ ‖z‖² with m(z) = m̄ + U z, the mean of the training's images and
their leading modes, each as large as one standard deviation, by Gauss-Newton with a line search.

Reference: Vauhkonen, Kaipio, Somersalo and Karjalainen (1997), Electrical impedance tomography with
basis constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.line_search import backtrack
from pdeinv.engines.regularized.gauss_newton import GaussNewtonState
from pdeinv.engines.requests import Jacobian, Misfit, Steps
from pdeinv.errors import SolverDiverged
from pdeinv.model.learned import Family
from pdeinv.typing import Array

__all__ = ["FamilySearch"]

SETTLED = 1e-4
"""The last step promises less, relative to the objective."""


@dataclass(frozen=True)
class FamilySearch:
    """Gauss-Newton steps in z; the states are those of ``gauss-newton``, with p = z.

    Attributes:
        family: mean and modes of the unknown.
    """

    family: Family

    def place(self, m: Array) -> Array:
        """The z of the member nearest to an unknown, the prior counting as one node's worth."""
        u = self.family.modes
        normal = u.T @ u + np.eye(u.shape[1]) * np.mean(np.sum(u**2, axis=1))
        return np.asarray(np.linalg.solve(normal, u.T @ (m - self.family.mean)))

    def misfit(self, z: Array) -> Steps[float]:
        """Φ of a member, infinite where the model cannot be solved there."""
        return float((yield Misfit(self.family.member(z), "unknown", trial=True)))

    def begun(self, z: Array) -> Steps[GaussNewtonState]:
        """The state at z."""
        misfit = yield from self.misfit(z)
        objective = misfit + 0.5 * float(z @ z)
        return GaussNewtonState(z, misfit, objective, 1.0, np.inf, np.zeros(0), z)

    def step(self, posterior: Posterior, state: GaussNewtonState) -> Steps[GaussNewtonState]:
        """One step."""
        z, u = state.p, self.family.modes
        try:
            at: DenseLinearization = yield Jacobian(self.family.member(z), "unknown")
        except SolverDiverged:
            return replace(state, ended=Ended.STALLED)
        a = posterior.noise.whiten((at.jacobian @ u).T).T
        r = posterior.noise.whiten(at.value - posterior.data)
        gradient = a.T @ r + z
        d = -np.linalg.solve(a.T @ a + np.eye(len(z)), gradient)
        reached: dict[float, float] = {}

        def value_at(t: float) -> Steps[float]:
            moved = z + t * d
            reached[t] = yield from self.misfit(moved)
            return reached[t] + 0.5 * float(moved @ moved)

        slope = float(gradient @ d)
        promised = -slope / max(state.objective, 1e-300)
        found = yield from backtrack(value_at, state.objective, slope)
        settled = promised <= SETTLED
        if found.t == 0:
            return replace(state, ended=Ended.CONVERGED if settled else Ended.STALLED)
        return replace(
            state, p=z + found.t * d, misfit=reached[found.t], objective=found.value,
            decrement=promised, n=state.n + 1,
            ended=Ended.CONVERGED if settled else Ended.RUNNING,
        )  # fmt: skip
