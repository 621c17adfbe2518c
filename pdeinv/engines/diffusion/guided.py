"""Guidance by the gradient of the misfit at the denoised field: DPS, FunDPS and DiffusionPDE.

One rule with three presets. A step of the diffusion of the prior is followed by one down the slope
of the misfit at the denoised field, pulled back through the denoiser. Its length is told in the
inverse of the largest curvature of Φ + R in ξ, so that it means the same on every grid and for
every noise: steps beyond 2 are unstable near the data.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Need
from pdeinv.engines.diffusion.levels import Count, ancestral
from pdeinv.engines.diffusion.local import Curvature
from pdeinv.engines.diffusion.particles import (
    Calls,
    Particles,
    ParticlesConfig,
    ParticlesEngine,
    Stretch,
)
from pdeinv.engines.diffusion.prior import denoiser_of
from pdeinv.engines.diffusion.slopes import Slopes, slopes, steepest_of
from pdeinv.engines.requests import Steps
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["DiffusionPde", "DiffusionPdeConfig", "Dps", "FunDps", "FunDpsConfig", "GuidedConfig"]

FULL, LESS = 0.8, 0.1
"""Of DiffusionPDE: the share of levels with the full weight, and that weight's share afterwards."""


class GuidedConfig(ParticlesConfig):
    """Options of ``dps``."""

    levels: Count = 400
    weight: float = Field(
        3.0, gt=0, description="length of a step down the misfit, in its inverse curvature"
    )


class FunDpsConfig(GuidedConfig):
    """Options of ``fundps``."""

    levels: Count = 500
    weight: float = Field(
        1.5, gt=0, description="length of a step down the misfit, in its inverse curvature"
    )


class DiffusionPdeConfig(GuidedConfig):
    """Options of ``diffusionpde``."""

    levels: Count = 2000
    weight: float = Field(
        10.0, gt=0, description="length of a step down the misfit, in its inverse curvature"
    )


class _Guided(ParticlesEngine):
    """A step of the prior's diffusion, then one down the misfit at the denoised field."""

    requires = DERIVATIVES
    needs = frozenset({Need.DENOISER_DERIVATIVE})
    config: GuidedConfig

    @abstractmethod
    def length(self, at: Slopes, n_data: int, on: Stretch) -> Array:
        """The length of the step, in inverse curvatures, shape (n, 1) or ()."""

    def steepest(
        self, posterior: Posterior, shared: Curvature, rng: np.random.Generator
    ) -> Steps[float]:
        """As known of an affine model, else by power iteration at the prior mean."""
        if shared.values.size:
            return float(shared.values.max())
        return (yield from steepest_of(posterior, rng))

    def descent(self, posterior: Posterior, state: Particles, at: Slopes, on: Stretch) -> Array:
        """What the gradient of the misfit at a denoised field is multiplied with."""
        return self.length(at, posterior.n_data, on) / (1 + state.steepest)


def rooted(at: Slopes, n_data: int) -> Array:
    """sqrt(n_d / 2Φ), shape (n, 1): a gradient of the norm of the residual instead of its square.

    One where the residual is as large as noise makes it, less above.
    """
    return np.asarray(np.sqrt(n_data / np.maximum(2 * at.misfit, 1e-12)))[:, None]


class Dps(_Guided):
    """x_t = ancestral step - ζ ∇_x ‖y - G(D(x_s))‖.

    Chung, Kim, McCann, Klasky, Ye (2023), with the norm of the whitened residual.
    """

    name = "dps"
    measured = "many times as wide as the posterior where data are precise (docs/diffusion.md)"
    Config = GuidedConfig

    def calls(self, done: int) -> Calls:
        """A denoised field and one derivative."""
        return Calls(1, 1)

    def length(self, at: Slopes, n_data: int, on: Stretch) -> Array:
        """That of the norm."""
        return self.config.weight * rooted(at, n_data)

    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """An ancestral step and one down the misfit."""
        denoise = denoiser_of(posterior)
        clean = denoise(state.xi, on.here)
        at = yield from slopes(posterior, clean, state.affine)
        down = denoise.vjp(state.xi, on.here, at.slope)
        noise = rng.standard_normal(clean.shape)
        moved = ancestral(state.xi, clean, on.here, on.there, noise)
        return np.asarray(moved - self.descent(posterior, state, at, on) * down)


@dataclass(frozen=True)
class _Heun:
    """A step of the deterministic flow by Heun's rule (Karras et al. 2022), and its middle."""

    moved: Array
    middle: Array
    clean: Array


class _Flowing(_Guided):
    """Steps of the deterministic flow; the gradient goes through both calls of the denoiser."""

    def calls(self, done: int) -> Calls:
        """Two denoised fields and as many derivatives; the last level is denoised alone."""
        return Calls(2, 2) if done < self.n_steps - 1 else Calls(solves=0)

    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """Heun's step, then down the misfit; the last level is denoised and not led."""
        if on.there == 0:
            yield from ()
            return denoiser_of(posterior)(state.xi, on.here)
        heun = self._heun(posterior, state.xi, on)
        at = yield from slopes(posterior, heun.clean, state.affine)
        down = self._back(posterior, state.xi, heun, at.slope, on)
        return np.asarray(heun.moved - self.descent(posterior, state, at, on) * down)

    def _heun(self, posterior: Posterior, xi: Array, on: Stretch) -> _Heun:
        denoise, width = denoiser_of(posterior), on.there - on.here
        first = (xi - denoise(xi, on.here)) / on.here
        middle = xi + width * first
        clean = denoise(middle, on.there)
        second = (middle - clean) / on.there
        return _Heun(xi + 0.5 * width * (first + second), middle, clean)

    def _back(
        self, posterior: Posterior, xi: Array, heun: _Heun, slope: Array, on: Stretch
    ) -> Array:
        """The gradient by ``xi`` of what has the gradient ``slope`` at the last denoised field."""
        denoise, ratio = denoiser_of(posterior), (on.there - on.here) / on.here
        down = denoise.vjp(heun.middle, on.there, slope)
        return down + ratio * (down - denoise.vjp(xi, on.here, down))


class FunDps(_Flowing):
    """Heun's step, then -w k(s) ∇_x of the squared residual, k = min(1, s / 2 spreads).

    Yao, Mammadov, Berner, Kerrigan, Ye, Azizzadenesheli, Anandkumar (2025). Their weights of a mean
    over pixels are the ``weight`` of here times the inverse curvature.
    """

    name = "fundps"
    Config = FunDpsConfig

    def length(self, at: Slopes, n_data: int, on: Stretch) -> Array:
        """That of the square, less once noise is within the prior."""
        return np.asarray(self.config.weight * min(1.0, on.here / (2 * on.spread)))


class DiffusionPde(_Flowing):
    """Heun's step, then -ζ ∇_x of the norm of the residual, a tenth of it in the last fifth.

    Huang, Yang, Wang, Park (2024), with the observations alone: the residual of the equation wants
    a prior of unknown and state together.
    """

    name = "diffusionpde"
    Config = DiffusionPdeConfig

    def length(self, at: Slopes, n_data: int, on: Stretch) -> Array:
        """That of the norm."""
        share = 1.0 if on.done < FULL else LESS
        return share * self.config.weight * rooted(at, n_data)
