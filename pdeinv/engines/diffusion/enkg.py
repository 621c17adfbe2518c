"""Ensemble Kalman diffusion guidance (EnKG): particles led by their covariance with the data."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config
from pdeinv.engines.diffusion.levels import Count, descending, flow
from pdeinv.engines.diffusion.particles import (
    Calls,
    Particles,
    ParticlesEngine,
    Stretch,
)
from pdeinv.engines.diffusion.prior import denoiser_of
from pdeinv.engines.ended import Ended
from pdeinv.engines.ensemble_fit import fit_ensemble
from pdeinv.engines.requests import Predict, Steps
from pdeinv.typing import Array

__all__ = ["EnKG", "EnKGConfig"]

FROM, UNTIL = 0.05, 0.95
"""Shares of the levels between which the data count."""

SMALLEST = 0.1
"""The last level of a flow, in its first or in spreads of the prior."""

NARROWEST = 1 / 1.6
"""Spreads over those of the members' own linear fit, below which an ensemble has collapsed."""


class EnKGConfig(Config):
    """Options of ``enkg``."""

    ensemble_size: int = Field(
        200, ge=2, description="members; they span one direction less than they are"
    )
    levels: Count = 80
    step: float = Field(2.0, gt=0, description="η, the length of a step over the norm of C")
    flow: int = Field(5, ge=2, description="calls of the denoiser in the flow of each level")


class EnKG(ParticlesEngine):
    """x_j <- x_j - η / ‖C‖ Σ_k C_jk (x_k - x̄), C_jk = <G_j - y, G_k - Ḡ> / J, then the flow.

    G_j are the data of x̂_j, the end of the flow from x_j. Zheng, Chu, Wang, Kovachki, Baptista, Yue
    (2024). No derivative of anything is asked for, and members never leave what the first ones
    span.
    """

    name = "enkg"
    measured = "0.4 to 0.7 times as wide as the posterior where that is known"
    solves = "values"
    Config = EnKGConfig
    config: EnKGConfig

    @property
    def n_chains(self) -> int:
        """One ensemble."""
        return 1

    @property
    def size(self) -> int:
        """Its members."""
        return int(self.config.ensemble_size)

    def calls(self, done: int) -> Calls:
        """Those of the flow where data lead, and one of the step."""
        return Calls(self.config.flow + 1) if self._led(done / self.n_steps) else Calls(solves=0)

    @staticmethod
    def _led(done: float) -> bool:
        """Whether data lead after this share of the levels."""
        return FROM <= done <= UNTIL

    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """Down the ensemble's own slope, then a step of the flow."""
        xi, denoise = state.xi, denoiser_of(posterior)
        if self._led(on.done):
            xi = xi - (yield from self._slope(posterior, xi, on))
        return np.asarray(xi + (on.there - on.here) / on.here * (xi - denoise(xi, on.here)))

    def _slope(self, posterior: Posterior, xi: Array, on: Stretch) -> Steps[Array]:
        """η / ‖C‖ Σ_k C_jk (x_k - x̄); members that cannot be solved have no part in it."""
        last = SMALLEST * min(on.here, on.spread)
        levels = descending(on.here, last, self.config.flow)
        values = yield Predict(flow(denoiser_of(posterior), xi, levels))
        good = np.isfinite(values).all(axis=1)
        values = np.where(good[:, None], values, posterior.data)
        off = posterior.noise.whiten(values - posterior.data)
        middle = off.sum(axis=0) / max(int(good.sum()), 1)
        centred = np.where(good[:, None], off - middle, 0.0)
        c = off @ centred.T / len(xi)
        size = max(float(np.linalg.norm(c)), 1e-300)
        return np.asarray(self.config.step / size * (c @ (xi - xi.mean(axis=0))))

    def judged(self, posterior: Posterior, xi: Array, value: Array) -> tuple[Ended, str]:
        """Whether members are as wide as the linear fit of their own data calls for."""
        text = f"{len(xi)} members of an approximation, {self.measured}"
        why = _collapse(posterior, xi, value)
        if why:
            return Ended.COLLAPSED, f"{Ended.COLLAPSED.sentence(why)}; {text}"
        return Ended.CONVERGED, text


def _collapse(posterior: Posterior, xi: Array, value: Array) -> str:
    """In words, empty where there is none."""
    n, dim = xi.shape
    fit = fit_ensemble(xi, posterior.noise.whiten(value - posterior.data))
    if fit is None:
        return f"{n} members span at most {n - 1} of {dim} directions, their spreads are too small"
    worst = int(fit.spread.argmin())
    if fit.spread[worst] >= NARROWEST:
        return ""
    return f"by the ensemble's own linear fit xi[{worst}] has {fit.spread[worst]:.2g} of its spread"
