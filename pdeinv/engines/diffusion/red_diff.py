"""Regularization by denoising with a diffusion prior (RED-diff): one field, by descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.diffusion.levels import descending
from pdeinv.engines.diffusion.prior import denoiser_of, whose_prior
from pdeinv.engines.diffusion.slopes import slopes
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import first_point
from pdeinv.errors import RunFailed
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["RedDiff", "RedDiffConfig", "RedDiffState"]

BEYOND, WITHIN = 8.0, 0.05
"""The first and the last level, in spreads of the prior."""

MEMORY, MEMORY_OF_SQUARES, TINY = 0.9, 0.99, 1e-8
"""Of Adam, as RED-diff has it."""


class RedDiffConfig(Config):
    """Options of ``red-diff``."""

    max_iterations: int = Field(500, ge=1, description="steps, each at the next level of noise")
    rate: float = Field(0.1, gt=0, description="the learning rate of Adam, in units of xi")
    weight: float = Field(1.0, gt=0, description="λ of the denoiser's term")


@dataclass(frozen=True)
class RedDiffState:
    """The field, the running moments of its gradient, and what is left of the levels."""

    xi: Array
    first: Array
    second: Array
    done: int
    misfit: float


class RedDiff(Engine[RedDiffState]):
    """min E[Φ(μ) + λ s <stopgrad(ε̂ - ε), μ>] over levels s from the largest down, by Adam.

    ε̂ = (x_s - D(x_s)) / s at x_s = μ + s ε. Mardani, Song, Kautz, Vahdat (2024). One field, without
    a spread; the derivative of the denoiser is not asked for.
    """

    name = "red-diff"
    produces = "point"
    requires = DERIVATIVES
    uses = frozenset({Role.DENOISER})
    needs = frozenset[Need]()
    Config = RedDiffConfig
    config: RedDiffConfig

    def expected(self, posterior: Posterior) -> Mapping[str, int]:
        """A call of the denoiser and a gradient at each level, and one call where it begins."""
        return {"denoiser": self.n_steps + 1, "rows": 1, "gradients": self.n_steps}

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[RedDiffState]:
        """Begin at the mean of the prior, which is what noise at the first level is denoised to.

        Raises:
            RunFailed: no starting point could be solved.
        """
        denoise = denoiser_of(posterior)
        mean = denoise(np.zeros(posterior.dim), BEYOND * denoise.spread)
        place = yield from first_point(rng, mean)
        zero = np.zeros(posterior.dim)
        return RedDiffState(place.xi, zero, zero, 0, place.misfit)

    def step(
        self, posterior: Posterior, state: RedDiffState, rng: np.random.Generator
    ) -> Steps[RedDiffState]:
        """One step of Adam at the next level; at the last one the misfit is asked for."""
        denoise, n = denoiser_of(posterior), self.n_steps
        ends = BEYOND * denoise.spread, WITHIN * denoise.spread
        level = float(descending(*ends, max(n, 2), 1.0)[state.done])
        noise = rng.standard_normal(posterior.dim)
        noisy = state.xi + level * noise
        said = (noisy - denoise(noisy, level)) / level
        at = yield from slopes(posterior, state.xi[None], Affine.unknown())
        gradient = at.slope[0] + self.config.weight * level * (said - noise)
        moved = self._adam(state, gradient)
        if moved.done < n:
            return moved
        misfit = float((yield Misfit(moved.xi)))
        return RedDiffState(moved.xi, moved.first, moved.second, moved.done, misfit)

    def _adam(self, state: RedDiffState, gradient: Array) -> RedDiffState:
        """Kingma and Ba (2015)."""
        k = state.done + 1
        first = MEMORY * state.first + (1 - MEMORY) * gradient
        second = MEMORY_OF_SQUARES * state.second + (1 - MEMORY_OF_SQUARES) * gradient**2
        mean, square = first / (1 - MEMORY**k), second / (1 - MEMORY_OF_SQUARES**k)
        xi = state.xi - self.config.rate * mean / (np.sqrt(square) + TINY)
        return RedDiffState(xi, first, second, k, state.misfit)

    def finished(self, state: RedDiffState) -> bool:
        """At the last level."""
        return state.done >= self.n_steps

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The field where it ended.

        Raises:
            RunFailed: stopped on the way, or the field cannot be solved.
        """
        state: RedDiffState = chains[0].state
        if not self.finished(state):
            raise RunFailed(
                f"red-diff stopped after {state.done} of {self.n_steps} steps, where the prior "
                f"counts at large noise only; {Ended.BUDGET.advice}"
            )
        if not np.isfinite(state.misfit):
            raise RunFailed("red-diff ended at a field that cannot be solved; lower engine.rate")
        figures = {
            "n_denoiser": float(state.done + 1),
            "misfit_per_datum": state.misfit / posterior.n_counting,
        }
        return Outcome(
            state.xi[None, None],
            {"misfit": np.full((1, 1), state.misfit)},
            Ended.CONVERGED,
            f"all {state.done} levels done; one field, no spread",
            figures,
            note=whose_prior(posterior),
        )
