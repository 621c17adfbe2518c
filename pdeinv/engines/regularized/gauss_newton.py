"""Regularized Gauss-Newton in the unknown itself: the classical reconstructions.

min Φ(m) + λ P(p - p_ref), with p = m, p = ln m or p = ξ, by linearizing G at each step. One step is
the linearized (dynamic, difference) method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.line_search import backtrack
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.regularized.penalties import Penalty, penalty_of, typical_gradient
from pdeinv.engines.regularized.step import RegularizedStep, choose, prepare
from pdeinv.engines.requests import Steps
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["GaussNewton", "GaussNewtonState"]

PROGRESS = 0.1
"""One step aims at no less than this share of the misfit: the linearization reaches no further."""


@dataclass(frozen=True)
class GaussNewtonState:
    """Where the reconstruction stands.

    Attributes:
        p: the point in the engine's coordinates.
        misfit: Φ there.
        objective: Φ + λ P with the weight of the last step.
        weight: λ of the last step.
        decrement: how much the last linearization promised, relative to the objective.
        scale: diagonal of Jᵀ Γ⁻¹ J at the start (NOSER), empty before the first step.
        beta: smoothing of the total variation, 0 before it is known.
        n: steps done.
        ended: how it ended.
    """

    p: Array
    misfit: float
    objective: float
    weight: float
    decrement: float
    scale: Array
    beta: float = 0.0
    n: int = 0
    ended: Ended = Ended.RUNNING


@dataclass(frozen=True)
class _Local:
    """The linearized problem at one point: its parts, its weight and its step."""

    r: Array
    a: Array
    penalty: Penalty
    e: Array
    weight: float
    d: Array

    @property
    def gradient(self) -> Array:
        """Derivative of the objective."""
        return np.asarray(self.a.T @ self.r + self.weight * (self.penalty.matrix(self.e) @ self.e))

    @property
    def slope(self) -> float:
        """Derivative of the objective along the step."""
        return float(self.gradient @ self.d)

    @property
    def objective(self) -> float:
        """Φ + λ P at the point."""
        return 0.5 * float(self.r @ self.r) + self.weight * self.penalty.value(self.e)


class GaussNewton(Engine[GaussNewtonState]):
    """Iterated (or one-step) regularized Gauss-Newton with a dense Jacobian.

    Reference: Cheney et al. (1990) for NOSER; Kaltenbacher, Neubauer and Scherzer (2008, §4) for
    the iteration; Bertsekas (1982) for bounds; Vogel and Oman (1996) for total variation.
    """

    name = "gauss-newton"
    produces = "point"
    requires = DERIVATIVES
    needs = frozenset({Need.UNKNOWN})
    Config = GaussNewtonConfig
    config: GaussNewtonConfig

    def __init__(self, config: GaussNewtonConfig) -> None:
        super().__init__(config)
        if config.regularization == "prior":
            self.needs = frozenset()

    @property
    def n_steps(self) -> int:
        """As configured."""
        return self.config.steps

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[GaussNewtonState]:
        """At the reference, or at a prior draw.

        Raises:
            CapabilityError: the unknown has no coordinates that smoothness or tv could use.
            ConfigError: the reference is not positive or lies outside the bounds.
            RunFailed: the starting point cannot be solved.
        """
        coordinates = Parametrization.of(posterior, self.config)
        p = coordinates.reference
        if self.config.start == "prior":
            p = coordinates.place(rng.standard_normal(posterior.dim))
        penalty_of(self.config, posterior, coordinates, np.ones(len(p)), 0.0)
        misfit = yield from coordinates.misfit(p)
        if not np.isfinite(misfit):
            raise RunFailed(
                "gauss-newton cannot solve the model at its starting point; set "
                "engine.reference to a value of the background"
            )
        return GaussNewtonState(p, misfit, misfit, self.config.weight or 0.0, np.inf, np.zeros(0))

    def step(
        self, posterior: Posterior, state: GaussNewtonState, rng: np.random.Generator
    ) -> Steps[GaussNewtonState]:
        """Linearize, choose the weight, solve, search along the step."""
        coordinates = Parametrization.of(posterior, self.config)
        try:
            at = yield from coordinates.linearize(state.p)
        except SolverDiverged:
            return replace(state, ended=Ended.STALLED)
        a = posterior.noise.whiten(at.jacobian.T).T
        r = posterior.noise.whiten(at.value - posterior.data)
        if not state.scale.size:
            state = replace(state, scale=np.asarray(np.sum(a**2, axis=0)))
        penalty = penalty_of(self.config, posterior, coordinates, state.scale, state.beta)
        e = state.p - coordinates.reference
        local = self._local(coordinates, state, _Local(r, a, penalty, e, state.weight, 0 * e))
        return (yield from self._search(posterior, coordinates, state, local))

    def _local(self, coordinates: Parametrization, state: GaussNewtonState, here: _Local) -> _Local:
        """The linearized problem with its weight and its step, entries at bounds held."""
        free = ~coordinates.held(state.p, here.gradient)
        if not free.any():
            return here
        problem = prepare(here.a, here.r, here.penalty.matrix(here.e), here.e, free)
        weight, d = self._weight(problem, state), np.zeros_like(here.e)
        d[free] = problem.step(weight)
        return replace(here, weight=weight, d=d)

    def _weight(self, problem: RegularizedStep, state: GaussNewtonState) -> float:
        wanted = 0.5 * self.config.discrepancy**2 * problem.n_data
        target = wanted if self.config.steps == 1 else max(wanted, PROGRESS * state.misfit)
        # tv begins with a smooth first picture, which sets β
        rule = "discrepancy" if self._smooth_first(state) else self.config.weight_rule
        return choose(problem, rule, self.config.weight or 0.0, target)

    def _smooth_first(self, state: GaussNewtonState) -> bool:
        """Whether the step is the smooth one that total variation begins with."""
        return self.config.regularization == "tv" and state.beta == 0

    def _search(
        self,
        posterior: Posterior,
        coordinates: Parametrization,
        state: GaussNewtonState,
        local: _Local,
    ) -> Steps[GaussNewtonState]:
        """Along the step, bounds kept; without a line search only failed solves shorten it."""
        start, slope = local.objective, local.slope
        searched = self.config.line_search and self.config.steps > 1
        reached: dict[float, GaussNewtonState] = {}

        def value_at(t: float) -> Steps[float]:
            p = coordinates.inside(state.p + t * local.d)
            misfit = yield from coordinates.misfit(p)
            value = misfit + local.weight * local.penalty.value(p - coordinates.reference)
            reached[t] = replace(state, p=p, misfit=misfit, objective=float(value), n=state.n + 1)
            return value if searched else start if np.isfinite(value) else np.inf

        promised = -slope / max(start, 1e-300)
        settled = promised <= self.config.tolerance and not self._smooth_first(state)
        state = replace(state, weight=local.weight, decrement=promised)
        found = yield from backtrack(value_at, start, slope if searched else 0.0)
        if found.t == 0:
            return replace(state, ended=Ended.CONVERGED if settled else Ended.STALLED)
        new = reached[found.t]
        beta = state.beta or typical_gradient(self.config, posterior, new.p - coordinates.reference)
        ended = Ended.CONVERGED if settled or self.config.steps == 1 else Ended.RUNNING
        return replace(new, beta=beta, ended=ended)

    def record(self, state: GaussNewtonState, step: int) -> Mapping[str, Any] | None:
        """The course of the reconstruction."""
        return {k: getattr(state, k) for k in ("objective", "misfit", "weight", "decrement")}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The last point, with the course in group ``gauss_newton``."""
        state: GaussNewtonState = chains[0].state
        m = Parametrization.of(posterior, self.config).unknown(state.p)
        moved = Need.UNKNOWN in self.needs
        return Outcome(
            xi=np.zeros((1, 1, 0)) if moved else state.p[None, None],
            stats={"misfit": np.array([[state.misfit]])},
            ended=state.ended,
            message=self._message(state, posterior.n_data),
            summary={
                "iterations": float(state.n),
                "misfit": state.misfit,
                "misfit_per_datum": state.misfit / posterior.n_data,
                "weight": state.weight,
            },
            groups={"gauss_newton": chains[0].course("iteration")},
            m=m[None, None] if moved else None,
            noise_factor=max(1.0, self.config.discrepancy),
        )

    def _message(self, state: GaussNewtonState, n_data: int) -> str:
        """One sentence on how it ended."""
        one = self.config.steps == 1 and state.ended is Ended.CONVERGED
        ended = state.ended.unless_cut(state.n, self.config.steps)
        how = "took its one linearized step" if one else ended.words
        return ended.sentence(
            f"{self.config.regularization} {how} after {state.n} steps, weight {state.weight:.3g} "
            f"({self.config.weight_rule}), misfit {state.misfit:.4g} for {n_data} data (half the "
            "number of data is expected)"
        )
