"""The likelihood tied to a centre: the density exp(-Φ(x) - ‖x - z‖² / 2 r²), in whitened units.

Half of every method that splits prior and likelihood. With Gauss-Newton's model of Φ it is the
Gaussian N(x - H^(-1) g, H^(-1)), g = ∇Φ + (x - z) / r², H = J^T F J + I / r²: exact for affine data
and Gaussian noise, a proposal elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.diffusion.local import Local, located
from pdeinv.engines.requests import Steps
from pdeinv.typing import Array

__all__ = ["Tie", "moved"]


@dataclass(frozen=True)
class Tie:
    """To the centres z, shape (n, dim), by r, the standard deviation of each component."""

    centre: Array
    r: float

    def log_density(self, at: Local) -> Array:
        """-Φ - ‖x - z‖² / 2 r² up to a constant, shape (n,)."""
        return np.asarray(-at.misfit - 0.5 * np.sum((at.xi - self.centre) ** 2, -1) / self.r**2)

    def newton(self, at: Local) -> Array:
        """x - H^(-1) g, the mean of the Gaussian that stands for the density near ``at``."""
        gradient = self.r**2 * at.slope + (at.xi - self.centre)
        ratio = self.r**2 * at.curvature.values
        return at.xi - at.curvature.along(-ratio / (1 + ratio), gradient)

    def draw(self, at: Local, noise: Array) -> Array:
        """A draw of that Gaussian, from standard normal ``noise`` (n, dim)."""
        factor = 1 / np.sqrt(1 + self.r**2 * at.curvature.values) - 1
        return np.asarray(self.newton(at) + self.r * at.curvature.along(factor, noise))

    def log_proposal(self, at: Local, xi: Array) -> Array:
        """ln of the Gaussian's density at ``xi``, up to a constant of r alone."""
        ratio = self.r**2 * at.curvature.values
        off = (xi - self.newton(at)) / self.r
        square = np.sum(off * at.curvature.along(ratio, off), axis=-1)
        return np.asarray(0.5 * np.sum(np.log1p(ratio), axis=-1) - 0.5 * square)


@dataclass(frozen=True)
class Moved:
    """Points after a Metropolised move, with how many of the proposals were accepted."""

    at: Local
    accepted: int


def moved(
    posterior: Posterior, at: Local, tie: Tie, affine: Affine, rng: np.random.Generator
) -> Steps[Moved]:
    """One step of Metropolis and Hastings about Gauss-Newton's Gaussian, for each row of points.

    Stochastic Newton (Martin, Wilcox, Burstedde, Ghattas 2012), with the tie in the place of the
    prior. A proposal that cannot be solved is refused.

    Args:
        posterior: whose likelihood it is.
        at: where the rows are.
        tie: what they are tied to.
        affine: the model where it is known to be affine.
        rng: for proposals and decisions.
    """
    proposed = tie.draw(at, rng.standard_normal(at.xi.shape))
    chance = np.log(rng.random(len(proposed)))
    there = yield from located(posterior, proposed, affine, at.curvature)
    with np.errstate(invalid="ignore"):
        gain = tie.log_density(there) - tie.log_density(at)
        gain = gain + tie.log_proposal(there, at.xi) - tie.log_proposal(at, proposed)
    accepted = np.isfinite(there.misfit) & (chance < gain)
    return Moved(there.where(accepted, at), int(accepted.sum()))
