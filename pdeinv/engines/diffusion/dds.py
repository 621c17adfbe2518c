"""Decomposed diffusion sampling (DDS): a few conjugate gradients on the denoised field."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Need
from pdeinv.engines.diffusion.levels import Count
from pdeinv.engines.diffusion.particles import (
    Particles,
    ParticlesConfig,
    ParticlesEngine,
    Stretch,
)
from pdeinv.engines.diffusion.prior import denoiser_of
from pdeinv.engines.diffusion.slopes import slopes
from pdeinv.engines.requests import Steps
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["Dds", "DdsConfig", "conjugate_rows"]


class DdsConfig(ParticlesConfig):
    """Options of ``dds``."""

    levels: Count = 100
    gamma: float = Field(
        1.0, gt=0, description="weight of the misfit against half the squared distance in xi"
    )
    iterations: int = Field(5, ge=1, description="conjugate gradients of each step")
    eta: float = Field(0.85, ge=0, le=1, description="share of fresh noise; 0 is deterministic")


class Dds(ParticlesEngine):
    """x = argmin γ Φ + ‖x - D‖² / 2 by conjugate gradients, then noise of the next level.

    Chung, Lee, Ye (2024). The noise is partly that of before, (x_s - D) / s.
    """

    name = "dds"
    measured = "its mean 0.57 standard deviations off the posterior's where that is known"
    requires = DERIVATIVES
    needs = frozenset({Need.LINEAR})
    Config = DdsConfig
    config: DdsConfig

    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """Denoise, solve, bring noise back."""
        gamma, shared = self.config.gamma, state.shared
        clean = denoiser_of(posterior)(state.xi, on.here)
        at = yield from slopes(posterior, clean, state.affine)
        found = clean - conjugate_rows(
            lambda v: shared.along(gamma * shared.values, v),
            gamma * at.slope,
            self.config.iterations,
        )
        fresh = self.config.eta * on.there * sqrt(1 - (on.there / on.here) ** 2)
        kept = sqrt(on.there**2 - fresh**2) / on.here * (state.xi - clean)
        return np.asarray(found + kept + fresh * rng.standard_normal(found.shape))


def conjugate_rows(apply: Callable[[Array], Array], right: Array, n: int) -> Array:
    """``n`` steps of conjugate gradients from zero for M x = b, row by row.

    Args:
        apply: M, symmetric and positive, on (rows, dim).
        right: b, shape (rows, dim).
        n: steps; rows whose residual vanishes stay where they are.
    """
    x, residual = np.zeros_like(right), right
    along, square = right, np.vecdot(right, right)
    for _ in range(n):
        moved = apply(along)
        steep = np.vecdot(along, moved)
        length = np.divide(square, steep, out=np.zeros_like(square), where=steep > 0)
        x = x + length[:, None] * along
        residual = residual - length[:, None] * moved
        left = np.vecdot(residual, residual)
        ratio = np.divide(left, square, out=np.zeros_like(square), where=square > 0)
        along, square = residual + ratio[:, None] * along, left
    return x
