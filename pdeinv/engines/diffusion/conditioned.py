"""The likelihood tied to a centre: the density exp(-Φ(x) - ‖x - z‖² / 2 r²), in whitened units.

Half of every method that splits prior and likelihood. With Gauss-Newton's model of Φ it is the
Gaussian N(x - H^(-1) g, H^(-1)), g = ∇Φ + (x - z) / r², H = J^T F J + I / r²: exact for affine data
and Gaussian noise, elsewhere what moves are proposed by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.diffusion.local import Local, Seen, seen
from pdeinv.engines.requests import Steps
from pdeinv.typing import Array

__all__ = ["Moved", "Tie", "anew", "moved", "sizes"]

SIZES = (1.0, 0.5, 0.25, 0.125)
"""Sizes of moves, in turn: whole draws where the model is nearly affine, small ones elsewhere."""


@dataclass(frozen=True)
class Tie:
    """To the centres z, shape (n, dim), by r, the standard deviation of each component."""

    centre: Array
    r: float

    def rows(self, chosen: NDArray[np.int64]) -> Tie:
        """Of some centres."""
        return Tie(self.centre[chosen], self.r)

    def log_density(self, at: Seen) -> Array:
        """-Φ - ‖x - z‖² / 2 r² up to a constant, shape (n,)."""
        return np.asarray(-at.misfit - 0.5 * np.sum((at.xi - self.centre) ** 2, -1) / self.r**2)

    def newton(self, at: Local) -> Array:
        """x - H^(-1) g, the mean of the Gaussian that stands for the density near ``at``."""
        gradient = self.r**2 * at.slope + (at.xi - self.centre)
        ratio = self.r**2 * at.curvature.values
        return at.xi - at.curvature.along(-ratio / (1 + ratio), gradient)


@dataclass(frozen=True)
class About:
    """N(x*, H^(-1)) about the best points of a tie.

    Attributes:
        best: x*, with the curvature there.
        r: of the tie.
    """

    best: Local
    r: float

    def noise(self, white: Array) -> Array:
        """H^(-1/2) of standard normal numbers (n, dim)."""
        factor = 1 / np.sqrt(1 + self.r**2 * self.best.curvature.values) - 1
        return self.r * self.best.curvature.along(factor, white)

    def log_density(self, xi: Array) -> Array:
        """-‖H^(1/2) (x - x*)‖² / 2, shape (n,)."""
        off = (xi - self.best.xi) / self.r
        ratio = self.r**2 * self.best.curvature.values
        return np.asarray(-0.5 * np.sum(off * self.best.curvature.along(ratio, off), axis=-1))

    def proposed(self, xi: Array, size: float, white: Array) -> Array:
        """x* + sqrt(1 - δ²) (x - x*) + δ H^(-1/2) n, which leaves the Gaussian as it is."""
        kept = np.sqrt(1 - size**2)
        return np.asarray(self.best.xi + kept * (xi - self.best.xi) + size * self.noise(white))


@dataclass(frozen=True)
class Moved:
    """Points after Metropolised moves, with how many of the proposals were accepted."""

    at: Seen
    accepted: int


def sizes(moves: int) -> Iterable[float]:
    """The sizes of so many moves."""
    return (SIZES[k % len(SIZES)] for k in range(moves))


def anew(
    posterior: Posterior,
    at: Seen,
    tie: Tie,
    best: Local,
    affine: Affine,
    rng: np.random.Generator,
) -> Steps[Seen]:
    """Draws of the Gaussian of the best points, whatever the density; as it was where that fails.

    For rows that are far from where they belong, which a Metropolised move might never leave.
    """
    xi = About(best, tie.r).proposed(at.xi, 1.0, rng.standard_normal(at.xi.shape))
    there = yield from seen(posterior, xi, affine)
    return there.where(np.isfinite(there.misfit) & np.isfinite(best.misfit), at)


def moved(
    posterior: Posterior,
    at: Seen,
    tie: Tie,
    best: Local,
    affine: Affine,
    moves: int,
    rng: np.random.Generator,
) -> Steps[Moved]:
    """Moves of Metropolis and Hastings that keep exp(-Φ - ‖x - z‖² / 2 r²), for each row of points.

    Of pCN about the Gaussian of the best points (Rudolf and Sprungk 2018), one solve each. One
    whose proposal or best point cannot be solved is refused. A model that is affine takes one
    draw.

    Args:
        posterior: whose likelihood it is.
        at: where the rows are.
        tie: what they are tied to.
        best: the best points, which do not depend on where the rows are.
        affine: the model where it is known to be affine.
        moves: how many.
        rng: for proposals and decisions.
    """
    about, accepted = About(best, tie.r), 0
    for size in sizes(1 if affine.known else moves):
        xi = about.proposed(at.xi, size, rng.standard_normal(at.xi.shape))
        chance = np.log(rng.random(len(xi)))
        there = yield from seen(posterior, xi, affine)
        with np.errstate(invalid="ignore"):
            gain = tie.log_density(there) - about.log_density(xi)
            gain = gain - tie.log_density(at) + about.log_density(at.xi)
        taken = np.isfinite(there.misfit) & np.isfinite(best.misfit) & (chance < gain)
        taken |= affine.known
        at, accepted = there.where(taken, at), accepted + int(taken.sum())
    return Moved(at, accepted)
