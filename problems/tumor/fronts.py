"""How many mm inside its region a place lies, told by c: along a front ln c/(1 − c) is linear.

A contour that was drawn is off by millimetres, not by a difference of c. A front that runs at its
own speed 2 √(Dρ) is about c = 1/(1 + e^(x/(2w))), w = √(D/ρ) (Canosa 1973), so that
ℓ(c) = ln c/(1 − c) falls by 1/(2w) each mm, whatever c is, and

    z = 2 √(D/ρ) (ℓ(c) − ℓ(θ)) / s,   s in mm,

is the distance from the contour over s. The slope of the front itself is 0.69 of c (1 − c)/w at
c = 0.05, 0.49 at 0.5 and 0.43 at 0.85, where this takes 0.5. Where the front is bent, young, slowed
down by grey matter or held up by CSF, the distance is stretched. D is the one in white matter.

How ragged a contour is would therefore still speak for D, if s were known: estimates then make
√(D/ρ) fit it. An unknown s, log-normal about what the contour's error is, takes that up.

ℓ is bounded: ℓ(c) = ln (c + ε)/(1 − c + ε) with ε = 0.01, smooth on [0, 1] and a little beyond,
where rounding puts c. So nothing is clipped, |z| is at most √(D/ρ) 9.2/s at θ = ½, and a datum
that no front reaches, such as tumor drawn across the falx, cannot outweigh the others.
Contours stay where c = θ; the slope of ℓ there is that of ln c/(1 − c) to 4 % at θ = 0.2 and to
16 % at 0.05. A smaller ε makes much of how c is rounded near 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

from .masks import Direct, Lazy
from .unknown import Parameters

__all__ = ["Fronts"]

_EPSILON = 1e-2


def _logit(c: Array) -> Array:
    """ℓ."""
    return np.asarray(np.log((c + _EPSILON) / (1 - c + _EPSILON)))


def _slope(c: Array) -> Array:
    """ℓ'."""
    return np.asarray(1 / (c + _EPSILON) + 1 / (1 - c + _EPSILON))


@dataclass(frozen=True)
class Fronts:
    """z for each datum of region k, for tiles of c (n_d, width), θ, D, ρ and s.

    Attributes:
        region: of each datum, from 0, shape (n_d,).
    """

    region: NDArray[np.int64]

    def data(self, c: Array, at: Parameters) -> Array:
        """z, (n_d, width)."""
        return np.asarray(self._scale(at) * self._above(c, at))

    def tangent(self, c: Lazy, at: Parameters, dc: Array, change: Parameters) -> Array:
        """Its change with those of concentrations and of all else."""
        now = c()
        moved = _slope(now) * dc - (_slope(at.thresholds) * change.thresholds)[self.region]
        wider = (change.diffusivity / at.diffusivity - change.growth_rate / at.growth_rate) / 2
        softer = change.softness / at.softness
        return np.asarray(self._scale(at) * (moved + self._above(now, at) * (wider - softer)))

    def adjoint(self, c: Lazy, at: Parameters, w: Array) -> tuple[Array, Direct]:
        """The transpose: w on z to that on c, and on all else."""
        now, scaled = c(), self._scale(at) * w
        each = [_sum(scaled[self.region == k]) for k in range(len(at.thresholds))]
        wider = _sum(scaled * self._above(now, at))
        return _slope(now) * scaled, {
            "thresholds": -_slope(at.thresholds) * np.stack(each),
            "diffusivity": wider / 2 / at.diffusivity,
            "growth_rate": -wider / 2 / at.growth_rate,
            "softness": -wider / at.softness,
        }

    def _above(self, c: Array, at: Parameters) -> Array:
        """ℓ(c) − ℓ(θ)."""
        return np.asarray(_logit(c) - _logit(at.thresholds)[self.region])

    def _scale(self, at: Parameters) -> Array:
        """2 √(D/ρ)/s, (width,)."""
        return np.asarray(2 * np.sqrt(at.diffusivity / at.growth_rate) / at.softness)


def _sum(x: Array) -> Array:
    """Over data, lane by lane."""
    return np.asarray(np.add.reduce(x, axis=0))
