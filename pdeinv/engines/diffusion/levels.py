"""Levels of noise, and the ways down from one to another that need a denoiser only.

The state of a diffusion at a level is y = x + level · n with x a clean field and n ~ N(0, I), in
whitened coordinates, so that the noise is a Gaussian field as smooth as the prior's own coordinates
are and a level means the same on every grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt
from typing import Annotated

import numpy as np
from pydantic import Field

from pdeinv.typing import Array

__all__ = ["SHORT", "Count", "Denoise", "ancestral", "conditional_draw", "descending", "flow"]

type Denoise = Callable[[Array, float], Array]
"""D(y, level): shape (..., dim) to the same."""

Count = Annotated[
    int, Field(ge=2, le=100_000, description="levels of noise from the first to the last")
]
"""How many levels an engine is told to take; its most is far above any use, and ends."""

CURVE, SHORT = 7.0, 3.0
"""How levels crowd towards the last one (Karras et al. 2022, their ρ): over the whole range of a
diffusion as they found it best, over a decade as draws are neither too wide nor too narrow."""


def descending(first: float, last: float, n: int, curve: float = CURVE) -> Array:
    """``n`` levels from ``first`` down to ``last``, equidistant in level^(1/curve).

    Karras, Aittala, Aila, Laine (2022), eq. 5.
    """
    return np.asarray(np.linspace(first ** (1 / curve), last ** (1 / curve), n) ** curve)


def ancestral(noisy: Array, clean: Array, here: float, there: float, noise: Array) -> Array:
    """A draw at level ``there`` given the state at ``here`` and the clean field behind it.

    y' = x + (t/s)² (y - x) + t sqrt(1 - (t/s)²) n (Ho et al. 2020, eq. 7, with variance that
    explodes; Song et al. 2021).

    Args:
        noisy: y, shape (..., dim).
        clean: x, or its estimate.
        here: s.
        there: t < s.
        noise: n, standard normal.
    """
    keep = (there / here) ** 2
    return np.asarray(keep * noisy + (1 - keep) * clean + there * sqrt(1 - keep) * noise)


def conditional_draw(
    denoise: Denoise, noisy: Array, levels: Array, rng: np.random.Generator
) -> Array:
    """A draw of the clean fields given fields at level ``levels[0]``.

    The reverse diffusion dy = -2 s' s ∇ ln p_s dt + sqrt(2 s' s) dw from there to zero, by the
    two-step exponential integrator that extrapolates the denoised field (Lu et al. 2022,
    SDE-DPM-Solver++(2M)). The one-step rule, :func:`ancestral` alone, makes draws a fifth too
    narrow with the same number of levels.

    Args:
        denoise: one call a level.
        noisy: shape (..., dim).
        levels: descending.
        rng: for the noise.
    """
    before: _Before | None = None
    for s, t in pairwise(levels.tolist()):
        clean, width = denoise(noisy, s), log(s / t)
        ahead = clean if before is None else before.ahead(clean, width)
        before = _Before(clean, width)
        noisy = ancestral(noisy, ahead, s, t, rng.standard_normal(noisy.shape))
    return denoise(noisy, float(levels[-1]))


@dataclass(frozen=True)
class _Before:
    """The denoised field of the level before, and how far that was in ln level."""

    clean: Array
    width: float

    def ahead(self, clean: Array, width: float) -> Array:
        """The denoised field in the middle of the next stretch, by a line through both."""
        return np.asarray(clean + 0.5 * width / self.width * (clean - self.clean))


def flow(denoise: Denoise, noisy: Array, levels: Array) -> Array:
    """The end of the deterministic flow dy/ds = (y - D(y, s)) / s from ``levels[0]``, by Euler.

    One call a level; the last one denoises (Karras et al. 2022, eq. 3).
    """
    for s, t in pairwise(levels.tolist()):
        noisy = noisy + (t - s) / s * (noisy - denoise(noisy, s))
    return denoise(noisy, float(levels[-1]))
