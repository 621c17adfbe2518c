"""The Laplace approximation: a Gaussian at the MAP point from a low-rank Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from pdeinv.bayes.importance import ENOUGH
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior, PosteriorPoint
from pdeinv.bayes.prior import cost
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.approximation import (
    CUTOFF,
    OVERSAMPLING,
    RANK,
    LaplaceApproximation,
    Spectrum,
)
from pdeinv.engines.gaussian.curvature import ESCAPES
from pdeinv.engines.gaussian.descent import Descended, DescentConfig, begun, continued
from pdeinv.engines.gaussian.minimize import Minimum, off_saddle
from pdeinv.engines.gaussian.optima import Optimum
from pdeinv.engines.gaussian.starts import (
    Found,
    another,
    comparable,
    optima_group,
    told,
)
from pdeinv.engines.requests import Linearize, Steps
from pdeinv.errors import RunFailed, SolverDiverged, reason
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["Laplace", "LaplaceConfig", "LaplaceState"]


class LaplaceConfig(DescentConfig):
    """Options of ``laplace``."""

    rank: int = Field(
        RANK, ge=1, description="eigenpairs sought; doubled while the last eigenvalue is above 1"
    )
    oversampling: int = Field(OVERSAMPLING, ge=0, description="extra columns of the random sketch")
    cutoff: float = Field(CUTOFF, gt=0, description="eigenvalues below this are left to the prior")
    draws: int = Field(1000, ge=1, description="independent draws of the Gaussian")


@dataclass(frozen=True)
class LaplaceState(Descended):
    """The first minimization, the growing spectrum of the Hessian at its end, further minima."""

    spectrum: Spectrum
    found: Found


class Laplace(Engine[LaplaceState]):
    """Gauss-Newton to the MAP point, then one growth of the Hessian's sketch, or search, per step.

    Exact where G(m(xi)) is linear in xi; elsewhere a Gaussian with the right mode and curvature.
    """

    name = "laplace"
    produces = "approximate"
    takes = LikelihoodKind.DENSITY
    uses = frozenset({Role.INVERSE})
    requires = DERIVATIVES
    Config = LaplaceConfig
    config: LaplaceConfig

    @property
    def n_steps(self) -> int:
        """The minimization, then at most 32 doublings of the rank, then the further searches."""
        return self.config.most_descents + 32 + self.config.most_starts + 2 * ESCAPES

    def draws_kept(self, dim: int) -> int:
        """As configured."""
        return self.config.draws

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[LaplaceState]:
        """The first point of the minimization and an empty sketch."""
        descent = yield from begun(posterior, self.config, rng)
        spectrum = Spectrum.unknown(posterior, self.config.rank)
        return LaplaceState(descent, spectrum, Found.nothing(posterior.dim))

    def step(
        self, posterior: Posterior, state: LaplaceState, rng: np.random.Generator
    ) -> Steps[LaplaceState]:
        """One outer iteration, one growth of the sketch, or one more search.

        Raises:
            RunFailed: the derivatives at the MAP point fail.
        """
        if state.descent.on(self.config):
            further = yield from continued(posterior, self.config, state.descent, rng)
            return replace(state, descent=further)
        if state.spectrum.enough:
            return replace(state, found=(yield from another(posterior, state.found, rng)))
        try:
            xi = state.minimum.xi
            at: PosteriorPoint = yield Linearize(xi)
            spectrum = yield from state.spectrum.grown(xi, at, self.config.oversampling, rng)
        except SolverDiverged as error:
            raise RunFailed(
                f"laplace has no Hessian where its minimization ended: {reason(error)}; set "
                "engine.start = 'prior' with another seed, or use pcn"
            ) from error
        state = replace(state, spectrum=spectrum)
        return (yield from self._looked_at(posterior, state, rng)) if spectrum.enough else state

    def _looked_at(
        self, posterior: Posterior, state: LaplaceState, rng: np.random.Generator
    ) -> Steps[LaplaceState]:
        """The first minimum with its Gaussian; where it is a saddle point, on the way down."""
        first, gaussian = state.minimum, self._gaussian(state)
        if first.ended.converged:
            first = yield from off_saddle(posterior, first, self.config, gaussian.root, rng)
        if first.on(self.config):
            spectrum = Spectrum.unknown(posterior, self.config.rank)
            return replace(state, descent=replace(state.descent, minimum=first), spectrum=spectrum)
        if first.ended.converged:
            found = Found.first(Optimum(first.objective, gaussian))
        else:  # no minimum, and none to tell others by
            found = Found.alone(posterior.dim, self.config.starts_for(posterior.dim))
        return replace(state, descent=replace(state.descent, minimum=first), found=found)

    def _gaussian(self, state: LaplaceState) -> LaplaceApproximation:
        return state.spectrum.approximation(state.minimum.xi, self.config.cutoff)

    def finished(self, state: LaplaceState) -> bool:
        """When the rank is large enough and all searches are done."""
        return state.spectrum.enough and not state.found.due(state.minimum, self.config)

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Independent draws of the Gaussian; their misfits are those of its quadratic model.

        Raises:
            RunFailed: stopped before the Hessian's spectrum was known.
        """
        state: LaplaceState = chains[0].state
        minimum = state.found.chosen(state.minimum)
        if state.spectrum.sketch.size == 0:
            raise RunFailed(
                f"laplace stopped before the spectrum of the Hessian was known; "
                f"{Ended.BUDGET.advice}"
            )
        several = minimum is not state.minimum
        found = state.found.best.laplace if several else self._gaussian(state)
        xi = found.sample(rng, self.config.draws)
        message = minimum.message(self.config, posterior) + state.descent.stages.told()
        ended = _ended(state)
        if ended is Ended.SEVERAL:
            message = f"{ended.sentence('the posterior has several modes')}; {message}"
        groups = {"laplace": found.dataset("xi_map"), **state.descent.stages.groups()}
        if state.found.any:
            groups["optima"] = optima_group(state.found)
        outcome = Outcome(
            xi=xi[None],
            stats={k: v[None] for k, v in _quadratic(found, xi, minimum).items()},
            ended=ended,
            message=f"{message}; {_verdict(found)}{told(state.found, minimum, self.config)}",
            summary={
                **minimum.summary(posterior.n_counting),
                "rank": float(len(found.eigenvalues)),
                "kl_divergence": found.kl_divergence,
                **state.found.summary,
            },
            groups=groups,
            independent_chains=False,
            approximated=True,
            further=self._further(found, minimum, rng),
        )
        return state.found.agreement.judged(outcome)

    def _further(
        self, found: LaplaceApproximation, minimum: Minimum, rng: np.random.Generator
    ) -> tuple[Array, Array] | None:
        """Draws to be weighed where those asked for are too few, with their quadratic misfits."""
        if self.config.draws >= ENOUGH:
            return None
        xi = found.sample(rng, ENOUGH)
        return xi, _quadratic(found, xi, minimum)["misfit"]


def _ended(state: LaplaceState) -> Ended:
    """Converged where the first search did and no second mode is left out."""
    if not state.spectrum.enough:
        return Ended.RUNNING
    return Ended.SEVERAL if comparable(state.found) else state.minimum.ended


def _quadratic(found: LaplaceApproximation, xi: Array, minimum: Minimum) -> dict[str, Array]:
    """Misfit and log density (n,) of draws (n, dim) in the quadratic model at the MAP point.

    There ∇Φ = -xi_map, hence Φ ≈ Φ_map - xi_map·δ + ½ Σ λ_i (v_i·δ)².
    """
    delta = xi - found.mean
    along = 0.5 * np.square(delta @ found.vectors) @ found.eigenvalues
    misfit = minimum.misfit - delta @ found.mean + along
    lp = -(minimum.objective + along + cost(delta))
    return {"misfit": misfit, "lp": lp}


def _verdict(found: LaplaceApproximation) -> str:
    """What the spectrum says about the approximation, in one clause."""
    text = f"{len(found.eigenvalues)} directions informed by the data; a Gaussian approximation"
    if found.residual <= CUTOFF:
        return text
    excess = 100 * found.residual
    return (
        f"{text}, whose variances in the directions left out are up to {excess:.0f} % too large "
        f"(largest eigenvalue left out {found.residual:.2g}; raise rank)"
    )
