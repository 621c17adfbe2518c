"""Preconditioned Crank-Nicolson Metropolis sampling (Cotter, Roberts, Stuart, White 2013, §4.2).

With ``proposal = "laplace"`` the Gaussian at the MAP point takes the place of the prior, with
``inverse`` that of a learned inverse: moves are reversible with respect to N(mean, C), hence
accepted by the ratio of the posterior to that Gaussian (generalised pCN: Pinski, Simpson, Stuart,
Weber 2015; Rudolf, Sprungk 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.gaussian.approximation import laplace_reference
from pdeinv.engines.learned_start import drawn_start, estimated_reference
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, adapted, stack
from pdeinv.engines.mcmc.modes import ManyModesConfig, Modes, searched_modes
from pdeinv.engines.mcmc.modes_found import modes_found
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import Place, first_point
from pdeinv.model.forward import DERIVATIVES, require
from pdeinv.model.learned import Role
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["Pcn", "PcnConfig", "PcnState"]


class PcnConfig(ManyModesConfig):
    """Options of ``pcn``."""

    draws: int = Field(20000, ge=1, description="total steps after warm-up, per chain")
    warmup: int = Field(5000, ge=0, description="adaptation steps before the first draw, discarded")
    thin: int = Field(10, ge=1, description="keep every thin-th draw")
    beta: float = Field(0.2, gt=0, le=1, description="first step size")
    target_acceptance: float = Field(0.25, gt=0, lt=1, description="aim of the warm-up adaptation")
    proposal: Literal["prior", "laplace", "inverse"] = Field(
        "prior",
        description="move about the prior, about the Gaussian at the MAP point, or about what a "
        "learned inverse says (without searches for further modes)",
    )


@dataclass(frozen=True)
class PcnState(ChainState):
    """The chain's position with its misfit, the step size and the modes that it knows."""

    xi: Array
    misfit: float
    log_beta: float
    modes: Modes
    jumps: int = 0

    @property
    def place(self) -> Place:
        """Position and misfit."""
        return Place(self.xi, self.misfit)


class Pcn(Sampler[PcnState]):
    """z' = sqrt(1 - b²) z + b w, w ~ N(0, I), accepted with min(1, exp(Ψ(z) - Ψ(z'))).

    xi = mean + C^(1/2) z and Ψ(z) = Φ + ½|xi|² - ½|z|². About the prior z = xi and Ψ = Φ: in
    whitened coordinates that proposal is reversible with respect to the prior whatever the prior
    mean and covariance of m are. The step size adapts during warm-up only.
    """

    name = "pcn"
    uses = frozenset({Role.INVERSE})
    Config = PcnConfig
    config: PcnConfig

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[PcnState]:
        """Start from a draw of the Gaussian that the chain moves about, where it can be solved.

        About the prior it is a wide draw of what a learned inverse says, where one is given.

        Each chain minimizes from its own prior draws, so that chains that know different modes
        disagree and R-hat shows it.

        Raises:
            CapabilityError: ``laplace`` without derivatives, ``inverse`` without one.
            RunFailed: no starting point could be solved.
        """
        reference = yield from self._reference(posterior, rng)
        told = self.config.proposal == "inverse"
        n, aside = 0 if told else self.config.searches_for(posterior), set_aside(rng)
        modes = yield from searched_modes(posterior, reference, n, aside)
        if self.config.proposal == "prior":
            start = drawn_start(posterior, rng)
        else:
            start = modes.first(reference).unwhiten(rng.standard_normal(posterior.dim))
        place = yield from first_point(rng, start)
        return PcnState(place.xi, place.misfit, float(np.log(self.config.beta)), modes)

    def _reference(self, posterior: Posterior, rng: np.random.Generator) -> Steps[Reference]:
        """The Gaussian that the chain moves about."""
        who = f"engine 'pcn' with proposal = '{self.config.proposal}'"
        if self.config.proposal == "laplace":
            require(posterior.model, DERIVATIVES, who)
            return (yield from laplace_reference(posterior, rng, "prior"))
        if self.config.proposal == "inverse":
            return estimated_reference(posterior, who)
        return Reference.standard(posterior.dim)

    def move(
        self, posterior: Posterior, state: PcnState, rng: np.random.Generator
    ) -> Steps[Move[PcnState]]:
        """Propose, accept or stay; a failed solve has infinite misfit and is never accepted.

        A jump follows where there are modes to go to.
        """
        modes = state.modes
        i = modes.drawn(state.xi, rng)
        proposal, gain = self._proposed(state, i, rng.standard_normal(posterior.dim))
        misfit = float((yield Misfit(proposal)))
        chance = math.exp(log_acceptance(gain + (state.misfit - misfit)))
        accepted = rng.random() < chance
        moved = replace(state, xi=proposal, misfit=misfit) if accepted else state
        if modes.count > 1:
            moved = yield from self._jumped(moved, rng)
        return Move(moved, int(accepted), chance)

    def _jumped(self, state: PcnState, rng: np.random.Generator) -> Steps[PcnState]:
        """In another mode, if that is accepted."""
        jump = yield from state.modes.jump(state.place, rng)
        xi, misfit = jump.place.xi, jump.place.misfit
        counted = state.jumps + (jump.accepted and self.warm(state))
        return replace(state, xi=xi, misfit=misfit, jumps=counted)

    def _proposed(self, state: PcnState, i: int, noise: Array) -> tuple[Array, float]:
        """The proposal in mode i, and ln of its acceptance but for Φ (0 about the prior)."""
        beta = math.exp(state.log_beta)
        keep = math.sqrt(1 - beta**2)
        if self.config.proposal == "prior":
            return keep * state.xi + beta * noise, 0.0
        reference = state.modes.reference(i)
        z = reference.whiten(state.xi)
        moved = keep * z + beta * noise
        xi = reference.unwhiten(moved)
        gain = float(cost(state.xi) - cost(z) - cost(xi) + cost(moved))
        return xi, gain + state.modes.tilt(i, state.xi, xi)

    def adapt(self, state: PcnState, chance: float) -> PcnState:
        """b by Robbins and Monro, at most 1."""
        target = self.config.target_acceptance
        return replace(state, log_beta=adapted(state.log_beta, chance, target, state.n + 1))

    def kept(self, state: PcnState) -> Mapping[str, Any]:
        """Position, misfit and mode."""
        return {"xi": state.xi, "misfit": state.misfit, "mode": state.modes.nearest(state.xi)}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The draws of all chains."""
        found = super().finalize(posterior, chains, rng)
        beta = float(np.mean([float(np.exp(c.state.log_beta)) for c in chains]))
        found = replace(found, summary={**found.summary, "beta": beta})
        modes = modes_found([c.state.modes for c in chains], stack(chains, "mode"))
        n = sum(max(1, c.state.n - self.config.warmup) for c in chains)
        return found if modes is None else modes.told(found, sum(c.state.jumps for c in chains) / n)
