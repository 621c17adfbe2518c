"""The engine ``random-walk``: Metropolis sampling with steps that adapt during warm-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, SamplerConfig, adapted
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import first_point
from pdeinv.typing import Array

__all__ = ["RandomWalk", "WalkConfig", "WalkState"]


class WalkConfig(SamplerConfig):
    """Options of ``random-walk``."""

    step: float = Field(0.3, gt=0, description="first step size, in prior standard deviations")


@dataclass(frozen=True)
class WalkState(ChainState):
    """Where the chain is, and the logarithm of its step size."""

    xi: Array
    misfit: float
    log_step: float


class RandomWalk(Sampler[WalkState]):
    """xi' = xi + s w with w ~ N(0, I), accepted with min(1, exp(Φ + R - Φ' - R')).

    Metropolis et al. (1953); the step size is tuned to accept a quarter of the moves (Roberts,
    Gelman and Gilks 1997).
    """

    name: ClassVar[str] = "random-walk"
    Config: ClassVar[type[Config]] = WalkConfig

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[WalkState]:
        """Start at a prior draw."""
        place = yield from first_point(rng, rng.standard_normal(posterior.dim))
        return WalkState(place.xi, place.misfit, float(np.log(self.config.step)))

    def move(
        self, posterior: Posterior, state: WalkState, rng: np.random.Generator
    ) -> Steps[Move[WalkState]]:
        """Propose, and accept or stay."""
        xi = state.xi + np.exp(state.log_step) * rng.standard_normal(posterior.dim)
        misfit = float((yield Misfit(xi)))
        chance = float(np.exp(log_acceptance(state.misfit + cost(state.xi) - misfit - cost(xi))))
        if rng.random() < chance:
            return Move(replace(state, xi=xi, misfit=misfit), 1, chance)
        return Move(state, 0, chance)

    def adapt(self, state: WalkState, chance: float) -> WalkState:
        """Longer steps where too much is accepted, shorter ones where too little is."""
        return replace(state, log_step=adapted(state.log_step, chance, 0.25, state.n + 1, np.inf))

    def kept(self, state: WalkState) -> Mapping[str, Any]:
        """Position and misfit."""
        return {"xi": state.xi, "misfit": state.misfit}
