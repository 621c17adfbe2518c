"""What engines of this room ask of a posterior beside its solves: the denoiser of its prior."""

from __future__ import annotations

from pdeinv.bayes.denoisers import GaussianDenoiser
from pdeinv.bayes.posterior import Posterior
from pdeinv.model.learned import Denoiser

__all__ = ["denoiser_of", "whose_prior"]


def denoiser_of(posterior: Posterior) -> Denoiser:
    """That of the learned law of xi where the posterior has one, else the exact one of N(0, I)."""
    learned = posterior.denoiser
    return GaussianDenoiser(posterior.dim) if learned is None else learned


def whose_prior(posterior: Posterior) -> str:
    """Which prior the draws are with respect to, for a message."""
    if posterior.denoiser is None:
        return "with respect to the prior of the problem, by its exact denoiser"
    return "with respect to the learned prior"
