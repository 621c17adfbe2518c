"""What the warm-up of a Hamiltonian chain learns besides its step: mean path and reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.kernel import MOMENT_DIM, Point
from pdeinv.typing import Array

__all__ = ["Moments", "Path", "rebased", "turning_points", "with_directions"]

QUARTER = float(np.log(np.pi / 2))
"""The path after which a draw of the reference has forgotten its start."""

SHORTEST, LONGEST = float(np.log(0.5)), float(np.log(0.75 * np.pi))
"""Limits of the log mean path: near half a turn, which mirrors the start, nothing calls it back."""

GAIN, MEMORY, SETTLED = 0.1, 0.95, 10
"""Of the moves of the log path: their size, the share of the old mean square that a new slope
leaves, and how many steps into the course of shrinking moves the first one is."""

SHARES = (0.15, 0.3, 0.55, 0.85)
"""Of the warm-up: moments are taken from the first on; at each later one the reference changes."""


@dataclass(frozen=True)
class Path:
    """The log of the mean path length, and the mean square of what moved it.

    It climbs the criterion ¼ E[(|y'|² - |y|²)²], the jump of the squared distance from the
    centre (ChEES: Hoffman, Radul, Sountsov 2021), which is largest at a quarter turn where the
    posterior is the reference, and further where its tails are wider.
    """

    log_mean: float = QUARTER
    square: float = 0.0

    def climbed(self, slope: float, k: int) -> Path:
        """One step of size ``GAIN`` (k + 10)^(-0.6) by the sign and relative size of a slope.

        Args:
            slope: derivative of the criterion by the log path along one trajectory.
            k: number of the step, from 1.
        """
        square = MEMORY * self.square + (1 - MEMORY) * slope**2
        if square == 0.0:
            return self
        move = GAIN * (k + SETTLED) ** -0.6 * slope / np.sqrt(square)
        return Path(float(np.clip(self.log_mean + move, SHORTEST, LONGEST)), square)


@dataclass(frozen=True)
class Moments:
    """Number, mean (r,) and scatter (r, r) of draws along the directions of a reference."""

    n: int
    mean: Array
    scatter: Array

    @classmethod
    def none(cls, reference: Reference) -> Moments:
        """Nothing yet; of no directions where there are too many to learn."""
        r = reference.basis.shape[1]
        r = r if r <= MOMENT_DIM else 0
        return cls(0, np.zeros(r), np.zeros((r, r)))

    def with_draw(self, reference: Reference, z: Array) -> Moments:
        """One more draw, in reference coordinates (Welford's update)."""
        if not len(self.mean):
            return self
        off = z @ reference.basis - self.mean
        mean = self.mean + off / (self.n + 1)
        return Moments(self.n + 1, mean, self.scatter + self.n / (self.n + 1) * np.outer(off, off))

    def refined(self, reference: Reference) -> Reference:
        """The reference with these moments, shrunk to the old ones by as much as draws are few.

        Nothing changes across the directions: what was the prior there stays the prior.
        """
        r = len(self.mean)
        if r == 0 or self.n < 2:
            return reference
        weight = self.n / (self.n + 2.0 * r)
        seen = weight * self.scatter / (self.n - 1) + (1 - weight) * np.eye(r)
        scale = np.sqrt(1 + reference.excess)
        variance, turn = np.linalg.eigh(scale[:, None] * seen * scale)
        mean = reference.unwhiten(reference.basis @ (weight * self.mean))
        return replace(reference, mean=mean, basis=reference.basis @ turn, excess=variance - 1)


def with_directions(reference: Reference) -> Reference:
    """The same Gaussian with a basis to learn moments along.

    All directions of at most 200; else those that the Hessian found, or the first 200.
    """
    dim, r = reference.basis.shape
    if dim <= MOMENT_DIM:
        return Reference.from_moments(reference.mean, reference.covariance)
    if r:
        return reference
    return replace(reference, basis=np.eye(dim)[:, :MOMENT_DIM], excess=np.zeros(MOMENT_DIM))


def rebased(point: Point, old: Reference, new: Reference) -> Point:
    """The same place with z, Ψ and its gradient about another reference, without a solve."""
    slope, z = old.inverse_root(point.gradient + point.z), new.whiten(point.place.xi)
    psi = point.psi + 0.5 * float(point.z @ point.z) - 0.5 * float(z @ z)
    return Point(z, point.place, psi, new.root(slope) - z)


def turning_points(warmup: int) -> list[int]:
    """Numbers of warm-up steps: when moments are first taken, then when the reference changes."""
    return [int(share * warmup) for share in SHARES]
