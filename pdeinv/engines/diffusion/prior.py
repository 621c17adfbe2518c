"""What engines of this room ask of a posterior beside its solves: the denoiser of its prior."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.denoisers import GaussianDenoiser
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.levels import conditional_draw, descending
from pdeinv.model.learned import Denoiser
from pdeinv.typing import Array

__all__ = ["LEVELS", "denoiser_of", "law_draws", "whose_prior"]

FIRST, LAST, LEVELS = 8.0, 0.01, 40
"""Levels at which draws of a law begin and end, in its spreads, and how many there are."""


def denoiser_of(posterior: Posterior) -> Denoiser:
    """That of the learned law of xi where the posterior has one, else the exact one of N(0, I)."""
    learned = posterior.denoiser
    return GaussianDenoiser(posterior.dim) if learned is None else learned


def whose_prior(posterior: Posterior) -> str:
    """Which prior the draws are with respect to, for a message."""
    if posterior.denoiser is None:
        return "with respect to the prior of the problem, by its exact denoiser"
    return "with respect to the learned prior"


def law_draws(law: Denoiser, rng: np.random.Generator, n: int) -> Array:
    """``n`` draws of a law that is known by its denoiser, (n, dim): its reverse diffusion."""
    levels = descending(FIRST * law.spread, LAST * law.spread, LEVELS)
    noisy = np.hypot(levels[0], law.spread) * rng.standard_normal((n, law.space.size))
    return conditional_draw(law, noisy, levels, rng)
