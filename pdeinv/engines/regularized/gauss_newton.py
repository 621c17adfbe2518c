"""Regularised Gauss-Newton in the unknown itself: the classical reconstructions.

min Φ(m) + λ P(p - p_ref), with p = m, p = ln m or p = ξ, by linearising G at each step. One step is
the linearised (dynamic, difference) method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Outcome, Produces
from pdeinv.engines.gaussian.newton_cg import backtrack
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.regularized.penalties import Penalty
from pdeinv.engines.regularized.reconstruction import at_bounds, penalty_of, typical_gradient
from pdeinv.engines.regularized.step import RegularizedStep, choose, prepare
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import Capability
from pdeinv.typing import Array

__all__ = ["GaussNewton", "GaussNewtonState"]

RUNNING, CONVERGED, STALLED = 0, 1, 2
PROGRESS = 0.1
"""One step aims at no less than this share of the misfit: the linearisation reaches no further."""

MET = 1.05
"""The discrepancy principle counts as met up to this multiple of its misfit."""


@dataclass(frozen=True)
class GaussNewtonState:
    """Where the reconstruction stands.

    Attributes:
        p: the point in the engine's coordinates.
        misfit: Φ there.
        objective: Φ + λ P with the weight of the last step.
        weight: λ of the last step.
        decrement: how much the last linearisation promised, relative to the objective.
        scale: diagonal of Jᵀ Γ⁻¹ J at the start (NOSER), empty before the first step.
        beta: smoothing of the total variation, 0 before it is known.
        n: steps done.
        status: running, converged or stalled.
    """

    p: Array
    misfit: float
    objective: float
    weight: float
    decrement: float
    scale: Array
    beta: float
    n: int
    status: int


@dataclass(frozen=True)
class _Local:
    """The linearised problem at one point: its parts, its weight and its step."""

    r: Array
    a: Array
    penalty: Penalty
    e: Array
    free: NDArray[np.bool_]
    weight: float
    d: Array

    @property
    def slope(self) -> float:
        """Derivative of the objective along the step."""
        gradient = self.a.T @ self.r + self.weight * (self.penalty.matrix(self.e) @ self.e)
        return float(gradient @ self.d)

    @property
    def objective(self) -> float:
        """Φ + λ P at the point."""
        return 0.5 * float(self.r @ self.r) + self.weight * self.penalty.value(self.e)


class GaussNewton:
    """Iterated (or one-step) regularised Gauss-Newton with a dense Jacobian.

    Reference: Cheney et al. (1990) for NOSER; Kaltenbacher, Neubauer and Scherzer (2008, §4) for
    the iteration; Bertsekas (1982) for bounds; Vogel and Oman (1996) for total variation.
    """

    name: ClassVar[str] = "gauss-newton"
    produces: ClassVar[Produces] = "point"
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.JVP, Capability.VJP})
    Config: ClassVar[type[Config]] = GaussNewtonConfig

    def __init__(self, config: GaussNewtonConfig) -> None:
        self.config = config

    @property
    def moves_unknown(self) -> bool:
        """Whether the steps leave the image of the prior's map."""
        return self.config.regularization != "prior"

    @property
    def n_chains(self) -> int:
        """One."""
        return 1

    @property
    def n_steps(self) -> int:
        """As configured."""
        return self.config.steps

    def init(self, posterior: Posterior, rng: np.random.Generator) -> GaussNewtonState:
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
        misfit = coordinates.misfit(p)
        if not np.isfinite(misfit):
            raise RunFailed(
                "gauss-newton cannot solve the model at its starting point; set "
                "engine.reference to a value of the background"
            )
        weight = self.config.weight or 0.0
        return GaussNewtonState(p, misfit, misfit, weight, np.inf, np.zeros(0), 0.0, 0, RUNNING)

    def step(
        self, posterior: Posterior, state: GaussNewtonState, rng: np.random.Generator
    ) -> GaussNewtonState:
        """Linearise, choose the weight, solve, search along the step."""
        coordinates = Parametrization.of(posterior, self.config)
        try:
            value, jacobian = coordinates.linearize(state.p)
        except SolverDiverged:
            return replace(state, status=STALLED)
        a = posterior.noise.whiten(jacobian.T).T
        r = posterior.noise.whiten(value - posterior.data)
        if not state.scale.size:
            state = replace(state, scale=np.asarray(np.sum(a**2, axis=0)))
        local = self._local(posterior, coordinates, state, (r, a))
        return self._search(posterior, coordinates, state, local)

    def _local(
        self,
        posterior: Posterior,
        coordinates: Parametrization,
        state: GaussNewtonState,
        data: tuple[Array, Array],
    ) -> _Local:
        """The weight and the step of the linearised problem."""
        r, a = data
        penalty = penalty_of(self.config, posterior, coordinates, state.scale, state.beta)
        e = state.p - coordinates.reference
        R = penalty.matrix(e)
        gradient = a.T @ r + state.weight * (R @ e)
        free = ~at_bounds(self.config, state.p, gradient)
        d = np.zeros_like(e)
        if not free.any():
            return _Local(r, a, penalty, e, free, state.weight, d)
        problem = prepare(a, r, R, e, free)
        weight = self._weight(problem, state)
        d[free] = problem.step(weight)
        return _Local(r, a, penalty, e, free, weight, d)

    def _weight(self, problem: RegularizedStep, state: GaussNewtonState) -> float:
        wanted = 0.5 * self.config.discrepancy**2 * problem.n_data
        target = wanted if self.config.steps == 1 else max(wanted, PROGRESS * state.misfit)
        rule = self.config.weight_rule
        if self.config.regularization == "tv" and state.beta == 0:
            rule = "discrepancy"  # a smooth first picture, which sets β
        return choose(problem, rule, self.config.weight or 0.0, target)

    def _search(
        self,
        posterior: Posterior,
        coordinates: Parametrization,
        state: GaussNewtonState,
        local: _Local,
    ) -> GaussNewtonState:
        """Along the step, bounds kept; without a line search only failed solves shorten it."""
        start = local.objective
        reached: dict[float, tuple[Array, float]] = {}

        def objective(t: float) -> float:
            p = coordinates.inside(state.p + t * local.d)
            misfit = coordinates.misfit(p)
            reached[t] = p, misfit
            return misfit + local.weight * local.penalty.value(p - coordinates.reference)

        def solvable(t: float) -> float:
            return start if np.isfinite(objective(t)) else np.inf

        searched = self.config.line_search and self.config.steps > 1
        slope, promised = local.slope, -local.slope / max(start, 1e-300)
        t, value = backtrack(objective if searched else solvable, start, slope if searched else 0.0)
        settled = promised <= self.config.tolerance and not self._unfinished(state)
        if t == 0:
            end = CONVERGED if settled else STALLED
            return replace(state, weight=local.weight, decrement=promised, status=end)
        p, misfit = reached[t]
        if not searched:
            value = misfit + local.weight * local.penalty.value(p - coordinates.reference)
        beta = state.beta or typical_gradient(self.config, posterior, p - coordinates.reference)
        return GaussNewtonState(
            p,
            misfit,
            float(value),
            local.weight,
            promised,
            state.scale,
            beta,
            state.n + 1,
            CONVERGED if settled or self.config.steps == 1 else RUNNING,
        )

    def _unfinished(self, state: GaussNewtonState) -> bool:
        """Total variation begins after its smooth first step."""
        return self.config.regularization == "tv" and state.beta == 0

    def record(self, state: GaussNewtonState, step: int) -> Mapping[str, Any] | None:
        """The course of the reconstruction."""
        return {
            "objective": state.objective,
            "misfit": state.misfit,
            "weight": state.weight,
            "decrement": state.decrement,
        }

    def finished(self, state: GaussNewtonState) -> bool:
        """Converged or stalled."""
        return state.status != RUNNING

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The last point, with the course in group ``gauss_newton``."""
        state: GaussNewtonState = chains[0].state
        coordinates = Parametrization.of(posterior, self.config)
        met = self._met(posterior, state)
        course = {k: ("iteration", v) for k, v in chains[0].records.items()}
        moved = self.moves_unknown
        return Outcome(
            xi=np.zeros((1, 1, 0)) if moved else state.p[None, None],
            stats={"misfit": np.array([[state.misfit]])},
            converged=bool(state.status == CONVERGED and met),
            message=self._message(state, posterior.n_data, met),
            summary={
                "iterations": float(state.n),
                "misfit": state.misfit,
                "misfit_per_datum": state.misfit / posterior.n_data,
                "weight": state.weight,
            },
            groups={"gauss_newton": xr.Dataset(course)},
            m=coordinates.unknown(state.p)[None, None] if moved else None,
        )

    def _met(self, posterior: Posterior, state: GaussNewtonState) -> bool:
        """Whether the noise level was reached, where that is the rule; one step may miss it."""
        if self.config.weight_rule != "discrepancy" or self.config.steps == 1:
            return True
        return state.misfit <= MET * 0.5 * self.config.discrepancy**2 * posterior.n_data

    def _message(self, state: GaussNewtonState, n_data: int, met: bool) -> str:
        """One sentence on how it ended."""
        how = {
            RUNNING: "stopped at the largest number of steps",
            CONVERGED: "converged" if self.config.steps > 1 else "took its one linearised step",
            STALLED: "stalled, no step lowers the objective (see positivity where solves fail, "
            "'pdeinv check' for the derivatives),",
        }[state.status]
        missed = "; the noise level was not reached: noise too small, or model wrong"
        return (
            f"{self.config.regularization} {how} after {state.n} steps, weight {state.weight:.3g} "
            f"({self.config.weight_rule}), misfit {state.misfit:.4g} for {n_data} data (half the "
            f"number of data is expected){'' if met else missed}"
        )
