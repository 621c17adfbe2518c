"""Regularized Gauss-Newton in the unknown itself: the classical reconstructions.

min Φ(m) + λ P(p - p_ref), with p = m, p = ln m or p = ξ, by linearizing G at each step. One step is
the linearized (dynamic, difference) method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise, additive
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.bands import Stages, stage_of
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.line_search import backtrack
from pdeinv.engines.regularized.background import fitted_background
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.local import Local
from pdeinv.engines.regularized.matrix_free import cooled, free_step
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.regularized.penalties import penalty_of, typical_gradient
from pdeinv.engines.regularized.state import GaussNewtonState
from pdeinv.engines.regularized.step import choose, prepare
from pdeinv.engines.requests import Steps, drive, under
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["GaussNewton", "GaussNewtonState"]

PROGRESS = 0.1
"""One step aims at no less than this share of the misfit: the linearization reaches no further."""
TARGETS, FORETOLD = 8, 2.0
"""A single step aims at the noise level or, in so many equal ratios, at ever more of the misfit,
until Φ after it is at most this many times what was aimed at."""
REACHED = 1.02
"""A misfit that is at most this many times the one that is aimed at has reached it."""


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
        """As configured, in bands and after them."""
        return self.config.steps + sum(self.config.iterations)

    def finished(self, state: GaussNewtonState) -> bool:
        """When the last stage has ended."""
        ended = state.ended is not Ended.RUNNING or state.n >= self.config.steps
        return state.stages.over and ended

    def _noise(self, posterior: Posterior, band: int) -> Noise:
        """What Φ is in a stage."""
        return additive(stage_of(posterior, self.config, band) or posterior.noise)

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[GaussNewtonState]:
        """At the reference, or at a prior draw.

        Raises:
            CapabilityError: the unknown has no coordinates that smoothness or tv could use.
            ConfigError: the reference is not positive or lies outside the bounds.
            RunFailed: the starting point cannot be solved.
        """
        noises = [self._noise(posterior, k) for k in range(len(self.config.bands) + 1)]
        return (yield from under(self._begun(posterior, noises[0], rng), noises[0]))

    def _begun(
        self, posterior: Posterior, noise: Noise, rng: np.random.Generator
    ) -> Steps[GaussNewtonState]:
        coordinates = Parametrization.of(posterior, self.config)
        if coordinates.kind == "m" and self.config.reference is None:
            background = yield from fitted_background(posterior, noise, coordinates, rng)
            coordinates = coordinates.about(background)
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
        weight, stages = self.config.weight or 0.0, Stages.before(self.config)
        stages = stages if stages.over else stages.at(misfit, 0)
        begun = GaussNewtonState(
            p, misfit, misfit, weight, np.inf, np.zeros(0), coordinates.reference, stages
        )
        if self.config.inner == "dense":
            return begun
        # no smooth first picture sets β: a draw of the prior does
        drawn = coordinates.place(rng.standard_normal(posterior.dim)) - coordinates.reference
        return replace(begun, beta=typical_gradient(self.config, posterior, drawn))

    def step(
        self, posterior: Posterior, state: GaussNewtonState, rng: np.random.Generator
    ) -> Steps[GaussNewtonState]:
        """Linearize, choose the weight, solve, search along the step; at the end of a band, on."""
        stages = state.stages
        noise = self._noise(posterior, stages.band)
        new = yield from under(self._stepped(posterior, noise, state), noise)
        if stages.over:
            return new
        new = replace(new, stages=stages.at(new.misfit, new.n))
        if new.ended is Ended.RUNNING and new.n < self.config.iterations[stages.band]:
            return new
        above = self._noise(posterior, stages.band + 1)
        coordinates = Parametrization.of(posterior, self.config)
        return new.above((yield from under(coordinates.misfit(new.p), above)))

    def _stepped(
        self, posterior: Posterior, noise: Noise, state: GaussNewtonState
    ) -> Steps[GaussNewtonState]:
        """One step of the present stage, whose Φ has that noise."""
        coordinates = Parametrization.of(posterior, self.config).about(state.reference)
        if self.config.inner == "cg":
            return (yield from self._free(posterior, noise, coordinates, state))
        try:
            at = yield from coordinates.linearize(state.p)
        except SolverDiverged:
            return replace(state, ended=Ended.STALLED)
        a = noise.whiten(at.jacobian.T).T
        r = noise.whiten(at.value - posterior.data)
        if not state.scale.size:
            state = replace(state, scale=np.asarray(np.sum(a**2, axis=0)))
        penalty = penalty_of(self.config, posterior, coordinates, state.scale, state.beta)
        e = state.p - coordinates.reference
        misfit = 0.5 * float(r @ r)
        here = Local(misfit, a.T @ r, noise.count, penalty, e, state.weight, 0 * e)
        if self.config.steps == 1 and self.config.weight_rule == "discrepancy":
            whole = yield from self._whole_step(coordinates, state, here, (a, r))
            if whole is not None:
                return whole
        wanted = self.config.wanted(noise.count)
        target = max(wanted, PROGRESS * state.misfit)
        local = self._local(coordinates, state, here, (a, r), target)
        if self._fits(state, local):
            return replace(state, decrement=local.promised, ended=Ended.CONVERGED)
        return (yield from self._search(posterior, coordinates, state, local))

    def _free(
        self,
        posterior: Posterior,
        noise: Noise,
        coordinates: Parametrization,
        state: GaussNewtonState,
    ) -> Steps[GaussNewtonState]:
        """The same step by products with the Jacobian."""
        try:
            at, pull, product = yield from coordinates.products(state.p)
        except SolverDiverged:
            return replace(state, ended=Ended.STALLED)
        penalty = penalty_of(self.config, posterior, coordinates, state.scale, state.beta)
        e = state.p - coordinates.reference
        here = Local(at.misfit, pull, noise.count, penalty, e, state.weight, 0 * e)
        wanted = self.config.wanted(here.count)
        if self.config.weight is None:
            here = replace(here, weight=cooled(here, product, wanted))
        free = ~coordinates.held(state.p, here.gradient)
        if free.any():
            here = free_step(here, product, free, self.config.cg_iterations)
        if self._fits(state, here):
            return replace(state, decrement=here.promised, ended=Ended.CONVERGED)
        return (yield from self._search(posterior, coordinates, state, here))

    def _whole_step(
        self,
        coordinates: Parametrization,
        state: GaussNewtonState,
        here: Local,
        system: tuple[Array, Array],
    ) -> Steps[GaussNewtonState | None]:
        """The whole of one step, of the least weight at which the linearization foretells Φ.

        Where it never does, that of the least Φ; None where no whole step can be solved.
        """
        best, wanted = None, self.config.wanted(here.count)
        for share in np.arange(TARGETS) / TARGETS:
            target = wanted * max(1.0, state.misfit / wanted) ** float(share)
            local = self._local(coordinates, state, here, system, target)
            new = yield from self._moved(coordinates, state, local, 1.0)
            if np.isfinite(new.misfit) and (best is None or new.misfit < best.misfit):
                best = replace(new, decrement=local.promised, ended=Ended.CONVERGED)
            if new.misfit <= FORETOLD * target:
                break
        return best

    def _moved(
        self, coordinates: Parametrization, state: GaussNewtonState, local: Local, t: float
    ) -> Steps[GaussNewtonState]:
        """The state after a share t of the step; its misfit is infinite where the solve fails."""
        p = coordinates.inside(state.p + t * local.d)
        misfit = yield from coordinates.misfit(p, trial=True)
        objective = misfit + local.weight * local.penalty.value(p - coordinates.reference)
        moved = replace(state, p=p, misfit=misfit, objective=float(objective), taken=t)
        return replace(moved, weight=local.weight, n=state.n + 1)

    def _local(
        self,
        coordinates: Parametrization,
        state: GaussNewtonState,
        here: Local,
        system: tuple[Array, Array],
        target: float,
    ) -> Local:
        """The linearized problem with its weight and its step, entries at bounds held.

        ``system`` is the whitened Jacobian with the residual, and ``target`` the Φ that the rule
        'discrepancy' aims at.
        """
        free = ~coordinates.held(state.p, here.gradient)
        if not free.any():
            return here
        problem = prepare(*system, here.penalty.matrix(here.e), here.e, free)
        d = np.zeros_like(here.e)
        # tv begins with a smooth first picture, which sets β
        rule = "discrepancy" if self._smooth_first(state) else self.config.weight_rule
        weight = choose(problem, rule, self.config.weight or 0.0, target)
        d[free] = problem.step(weight)
        return replace(here, weight=weight, d=d, least=problem.misfit(weight) > REACHED * target)

    def _smooth_first(self, state: GaussNewtonState) -> bool:
        """Whether the step is the smooth one that total variation begins with."""
        return self.config.regularization == "tv" and state.beta == 0

    def _search(
        self,
        posterior: Posterior,
        coordinates: Parametrization,
        state: GaussNewtonState,
        local: Local,
    ) -> Steps[GaussNewtonState]:
        """Along the step, bounds kept; without a line search only failed solves shorten it."""
        start, slope = local.objective, local.slope
        searched = self.config.line_search and self.config.steps > 1
        reached: dict[float, GaussNewtonState] = {}

        def value_at(t: float) -> Steps[float]:
            reached[t] = yield from self._moved(coordinates, state, local, t)
            value = reached[t].objective
            return value if searched else start if np.isfinite(value) else np.inf

        settled = local.promised <= (self.config.tolerance or 1e-4)
        settled = settled and not (self._smooth_first(state) or self._cools(state, local))
        state = replace(state, weight=local.weight, decrement=local.promised)
        found = yield from backtrack(value_at, start, slope if searched else 0.0)
        if found.t == 0:
            return replace(state, ended=Ended.CONVERGED if settled else Ended.STALLED)
        new = reached[found.t]
        beta = state.beta or typical_gradient(self.config, posterior, new.p - coordinates.reference)
        ended = Ended.CONVERGED if settled else Ended.RUNNING
        if self.config.steps == 1:
            ended = Ended.CONVERGED if found.t == 1 else Ended.SHORTENED
        return replace(new, beta=beta, ended=ended)

    def _cools(self, state: GaussNewtonState, local: Local) -> bool:
        """Whether a smaller weight is due, so that the end of this one is none."""
        chosen = self.config.inner == "cg" and self.config.weight is None
        return chosen and state.misfit > REACHED * self.config.wanted(local.count)

    def _fits(self, state: GaussNewtonState, local: Local) -> bool:
        """Whether the picture is good enough as it is; see the tolerance."""
        fits = state.misfit <= REACHED * self.config.wanted(local.count) or local.least
        return fits and local.promised <= self.config.enough and not self._smooth_first(state)

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
        if not state.stages.over:  # Φ so far is that of a band
            misfit = drive(posterior, Parametrization.of(posterior, self.config).misfit(state.p))
            state = replace(state, misfit=misfit, ended=Ended.CUT)
        return Outcome(
            xi=np.zeros((1, 1, 0)) if moved else state.p[None, None],
            stats={"misfit": np.array([[state.misfit]])},
            ended=state.ended,
            message=self._message(state, posterior),
            summary={
                "iterations": float(state.n),
                "misfit": state.misfit,
                "misfit_per_datum": state.misfit / posterior.n_counting,
                "weight": state.weight,
            },
            groups={"gauss_newton": chains[0].course("iteration"), **state.stages.groups()},
            m=m[None, None] if moved else None,
            noise_factor=max(1.0, self.config.discrepancy),
        )

    def _message(self, state: GaussNewtonState, on: Posterior) -> str:
        """One sentence on how it ended."""
        ended = state.ended.unless_cut(state.n, self.config.steps)
        how = ended.words
        if self.config.steps == 1 and ended in (Ended.CONVERGED, Ended.SHORTENED):
            share = "" if state.taken == 1 else f"{state.taken:.3g} of "
            how = f"took {share}its one linearized step"
        return ended.sentence(
            f"{self.config.regularization} {how} after {state.n} steps, weight {state.weight:.3g} "
            f"({self.config.weight_rule}), misfit {state.misfit:.4g} for {on.n_data} data "
            f"({on.likelihood.expectation}){state.stages.told()}"
        )
