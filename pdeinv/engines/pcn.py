"""Preconditioned Crank-Nicolson Metropolis sampling (Cotter, Roberts, Stuart, White 2013, §4.2).

With ``proposal = "laplace"`` the Gaussian at the MAP point takes the place of the prior: moves are
reversible with respect to N(xi_map, C), hence accepted by the ratio of the posterior to that
Gaussian (generalised pCN: Pinski, Simpson, Stuart, Weber 2015; Rudolf, Sprungk 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.config import Config
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import Chain, Outcome, Produces, SamplerConfig, first_point, stack
from pdeinv.engines.laplace_reference import laplace_reference
from pdeinv.models import Capability, require
from pdeinv.typing import Array

__all__ = ["Pcn", "PcnConfig", "PcnState", "adapted", "sampler_outcome"]


class PcnConfig(SamplerConfig):
    """Options of ``pcn``."""

    draws: int = Field(20000, ge=1, description="total steps after warm-up, per chain")
    warmup: int = Field(5000, ge=0, description="adaptation steps before the first draw, discarded")
    thin: int = Field(10, ge=1, description="keep every thin-th draw")
    beta: float = Field(0.2, gt=0, le=1, description="first step size")
    target_acceptance: float = Field(0.25, gt=0, lt=1, description="aim of the warm-up adaptation")
    proposal: Literal["prior", "laplace"] = Field(
        "prior", description="move about the prior, or about the Gaussian at the MAP point"
    )


@dataclass(frozen=True)
class PcnState:
    """The chain's position, its misfit, the adapted step size and the Gaussian it moves about."""

    xi: Array
    misfit: float
    log_beta: float
    n: int
    n_accepted: int
    ref_mean: Array
    ref_basis: Array
    ref_excess: Array

    @property
    def reference(self) -> Reference:
        """N(0, I) for moves about the prior."""
        return Reference(self.ref_mean, self.ref_basis, self.ref_excess)


def adapted(log_beta: float, acceptance: float, target: float, n: int) -> float:
    """Robbins-Monro update of the log step size with gain n^(-0.6), at most log 1."""
    return float(min(0.0, log_beta + (acceptance - target) / (n + 1) ** 0.6))


class Pcn:
    """z' = sqrt(1 - b²) z + b w, w ~ N(0, I), accepted with min(1, exp(Ψ(z) - Ψ(z'))).

    xi = mean + C^(1/2) z and Ψ(z) = Φ + ½|xi|² - ½|z|². About the prior z = xi and Ψ = Φ: in
    whitened coordinates that proposal is reversible with respect to the prior whatever the prior
    mean and covariance of m are. The step size adapts during warm-up only.
    """

    name: ClassVar[str] = "pcn"
    produces: ClassVar[Produces] = "posterior"
    requires: ClassVar[frozenset[Capability]] = frozenset()
    Config: ClassVar[type[Config]] = PcnConfig

    def __init__(self, config: PcnConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """As configured."""
        return self.config.chains

    @property
    def n_steps(self) -> int:
        """Warm-up and draws."""
        return self.config.warmup + self.config.draws

    def init(self, posterior: Posterior, rng: np.random.Generator) -> PcnState:
        """Start from a draw of the Gaussian that the chain moves about, where it can be solved.

        Each chain minimises from its own prior draw, so that chains about different modes disagree
        and R-hat shows it.

        Raises:
            CapabilityError: ``laplace`` without derivatives.
            RunFailed: no starting point could be solved.
        """
        reference = Reference.standard(posterior.dim)
        if self.config.proposal == "laplace":
            derivatives = frozenset({Capability.JVP, Capability.VJP})
            require(posterior.model, derivatives, "engine 'pcn' with proposal = 'laplace'")
            reference = laplace_reference(posterior, rng, "prior")
        start = reference.unwhiten(rng.standard_normal(posterior.dim))
        xi, misfit = first_point(posterior, rng, start)
        log_beta = float(np.log(self.config.beta))
        return PcnState(
            xi, misfit, log_beta, 0, 0, reference.mean, reference.basis, reference.excess
        )

    def step(self, posterior: Posterior, state: PcnState, rng: np.random.Generator) -> PcnState:
        """Propose, accept or stay; a failed solve has infinite misfit and is never accepted."""
        proposal, gain = self._proposed(state, rng.standard_normal(posterior.dim))
        misfit = float(posterior.misfit(proposal))
        gain += state.misfit - misfit
        chance = math.exp(log_acceptance(gain))
        accept = rng.random() < chance
        warm = state.n >= self.config.warmup
        log_beta = state.log_beta
        if not warm:
            log_beta = adapted(log_beta, chance, self.config.target_acceptance, state.n)
        return replace(
            state,
            xi=proposal if accept else state.xi,
            misfit=misfit if accept else state.misfit,
            log_beta=log_beta,
            n=state.n + 1,
            n_accepted=state.n_accepted + (accept and warm),
        )

    def _proposed(self, state: PcnState, noise: Array) -> tuple[Array, float]:
        """The proposal, and by how much ½|xi|² - ½|z|² falls towards it (0 about the prior)."""
        beta = math.exp(state.log_beta)
        keep = math.sqrt(1 - beta**2)
        if self.config.proposal == "prior":
            return keep * state.xi + beta * noise, 0.0
        reference = state.reference
        z = reference.whiten(state.xi)
        moved = keep * z + beta * noise
        xi = reference.unwhiten(moved)
        return xi, float(cost(state.xi) - cost(z) - cost(xi) + cost(moved))

    def record(self, state: PcnState, step: int) -> Mapping[str, Any] | None:
        """Position and misfit of every thin-th draw."""
        k = step - self.config.warmup
        if k <= 0 or k % self.config.thin:
            return None
        return {"xi": state.xi, "misfit": state.misfit}

    def finished(self, state: PcnState) -> bool:
        """Never before the last draw."""
        return False

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The draws of all chains."""
        rates = [c.state.n_accepted / max(1, c.state.n - self.config.warmup) for c in chains]
        betas = [float(np.exp(c.state.log_beta)) for c in chains]
        return sampler_outcome(chains, rates, {"beta": float(np.mean(betas))})


def sampler_outcome(
    chains: Sequence[Chain], rates: Sequence[float], summary: Mapping[str, float]
) -> Outcome:
    """The outcome of independent Markov chains that recorded ``xi`` and ``misfit``."""
    xi, misfit = stack(chains, "xi"), stack(chains, "misfit")
    stats = {
        "misfit": misfit,
        "lp": -(misfit + cost(xi)),
        "acceptance_rate": np.broadcast_to(np.asarray(rates)[:, None], misfit.shape).copy(),
    }
    found = {"acceptance_rate": float(np.mean(rates)), **summary}
    return Outcome(xi, stats, True, "judged by R-hat and ESS", found)
