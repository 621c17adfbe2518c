"""Decoupled annealing (DAPS): a draw near the end of the flow, and fresh noise at every level."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.conditioned import Tie, moved
from pdeinv.engines.diffusion.levels import Count, descending, flow
from pdeinv.engines.diffusion.particles import (
    Calls,
    Particles,
    ParticlesConfig,
    ParticlesEngine,
    Stretch,
)
from pdeinv.engines.diffusion.prior import denoiser_of
from pdeinv.engines.diffusion.searched import TYPICAL, best_near
from pdeinv.engines.requests import Steps
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["Daps", "DapsConfig"]

SMALLEST = 0.1
"""The last level of a flow, in its first or in spreads of the prior."""


class DapsConfig(ParticlesConfig):
    """Options of ``daps``."""

    levels: Count = 100
    flow: int = Field(5, ge=2, description="calls of the denoiser in the flow of each level")
    moves: int = Field(4, ge=1, description="Metropolised steps of the likelihood of each level")


class Daps(ParticlesEngine):
    """x̂ = the end of the flow from x_s; x ~ exp(-Φ - ‖x - x̂‖² / 2 s²); x_t = x + t n.

    Zhang, Chu, Berner, Meng, Anandkumar, Song (2025). Draws of x are made by the Metropolised
    moves of ``pnp-dm``, where the paper has Langevin steps whose length the stiffest
    datum limits; for linear data they are exact.
    """

    name = "daps"
    measured = "1.06 to 1.21 times as wide as the posterior where that is known"
    solves = "jacobians"
    requires = DERIVATIVES
    Config = DapsConfig
    config: DapsConfig

    def calls(self, done: int) -> Calls:
        """Those of the flow, and of the search; the moves after it cost a solve each."""
        return Calls(self.config.flow, solves=TYPICAL)

    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """Down the flow, to the data, and back to noise."""
        last = SMALLEST * min(on.here, on.spread)
        levels = descending(on.here, last, self.config.flow)
        clean = flow(denoiser_of(posterior), state.xi, levels)
        tie = Tie(clean, on.here)
        best = yield from best_near(posterior, tie, state.affine, state.shared)
        how = posterior, best.seen, tie, best, state.affine
        at = (yield from moved(*how, self.config.moves, rng)).at
        return np.asarray(at.xi + on.there * rng.standard_normal(at.xi.shape))
