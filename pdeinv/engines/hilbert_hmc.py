"""Hybrid Monte Carlo about a Gaussian reference: the kernel that explores a surrogate posterior.

With reference N(mean, C), xi = mean + C^(1/2) z and Ψ(z) = Φ + R - ½|z|², position and velocity
turn exactly under the reference (rotation by the step ε) and Ψ only kicks the velocity (Beskos,
Pinski, Sanz-Serna, Stuart 2011, §3). Nothing degrades with the dimension of xi, and where the
posterior equals the reference every step is accepted. Without derivatives the kicks vanish and each
step is the preconditioned Crank-Nicolson proposal about the reference with b = sin ε.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import first_point
from pdeinv.engines.laplace_reference import laplace_reference
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.models import Capability
from pdeinv.typing import Array

__all__ = ["Kernel", "Walker", "has_gradient", "tune"]

MOMENT_DIM = 200
"""Largest dimension in which sample moments refine the reference."""

LONGEST_STEP = 1.5
"""Upper limit of ε: a quarter turn forgets the start."""


@dataclass(frozen=True)
class Walker:
    """A position with its misfit under the posterior that the kernel explores."""

    xi: Array
    misfit: float


@dataclass(frozen=True)
class _Point:
    """A position in reference coordinates with Ψ and its gradient (zero without derivatives)."""

    z: Array
    walker: Walker
    psi: float
    gradient: Array

    def energy(self, velocity: Array) -> float:
        """Ψ + ½|z|² + ½|v|²."""
        return self.psi + 0.5 * float(self.z @ self.z) + 0.5 * float(velocity @ velocity)


def has_gradient(posterior: Posterior) -> bool:
    """Whether the kernel can use derivatives of the posterior."""
    return Capability.VJP in posterior.model.capabilities


@dataclass(frozen=True)
class Kernel:
    """The proposal.

    Attributes:
        reference: the Gaussian N(mean, C).
        log_step: log ε.
        leapfrogs: mean number of model evaluations of one move.
    """

    reference: Reference
    log_step: float
    leapfrogs: int = 8

    def moves(
        self, posterior: Posterior, walker: Walker, n: int, rng: np.random.Generator
    ) -> Iterator[tuple[Walker, float]]:
        """``n`` moves; after each, the walker and the mean acceptance probability of the move."""
        guided = has_gradient(posterior)
        here = self._point(posterior, self.reference.whiten(walker.xi), walker, guided)
        for _ in range(n):
            here, chance = (self._trajectory if guided else self._rotations)(posterior, here, rng)
            yield here.walker, chance

    def walk(
        self, posterior: Posterior, walker: Walker, n: int, rng: np.random.Generator
    ) -> Walker:
        """The walker after ``n`` moves."""
        last = walker
        for moved, _ in self.moves(posterior, walker, n, rng):
            last = moved
        return last

    def _trajectory(
        self, posterior: Posterior, here: _Point, rng: np.random.Generator
    ) -> tuple[_Point, float]:
        """One Hamiltonian trajectory of random length and step, accepted or not."""
        step = min(np.exp(self.log_step), LONGEST_STEP) * rng.uniform(0.7, 1.3)
        velocity = rng.standard_normal(len(here.z))
        start, point = here.energy(velocity), here
        for _ in range(rng.integers(1, 2 * self.leapfrogs)):
            velocity = velocity - 0.5 * step * point.gradient
            z, velocity = _rotate(point.z, velocity, step)
            point = self._point(posterior, z, None, True)
            if not np.isfinite(point.psi):
                return here, 0.0
            velocity = velocity - 0.5 * step * point.gradient
        return _metropolis(here, point, start - point.energy(velocity), rng)

    def _rotations(
        self, posterior: Posterior, here: _Point, rng: np.random.Generator
    ) -> tuple[_Point, float]:
        """As many Crank-Nicolson steps as a trajectory has evaluations."""
        chances = []
        step = min(np.exp(self.log_step), LONGEST_STEP)
        for _ in range(self.leapfrogs):
            z, _ = _rotate(here.z, rng.standard_normal(len(here.z)), step)
            point = self._point(posterior, z, None, False)
            here, chance = _metropolis(here, point, here.psi - point.psi, rng)
            chances.append(chance)
        return here, float(np.mean(chances))

    def _point(self, posterior: Posterior, z: Array, walker: Walker | None, guided: bool) -> _Point:
        """Ψ at ``z``, infinite where the solve fails; ``walker`` saves a solve without gradient."""
        xi = self.reference.unwhiten(z)
        if not guided:
            walker = walker or Walker(xi, float(posterior.misfit(xi)))
            psi = walker.misfit + float(cost(xi)) - 0.5 * float(z @ z)
            return _Point(z, walker, psi if np.isfinite(psi) else np.inf, np.zeros(0))
        try:
            at = posterior.linearize(xi)
        except SolverDiverged:
            return _Point(z, Walker(xi, np.inf), np.inf, np.zeros_like(z))
        psi = at.neg_log_posterior - 0.5 * float(z @ z)
        gradient = self.reference.root(at.gradient) - z
        return _Point(z, Walker(xi, at.misfit), psi if np.isfinite(psi) else np.inf, gradient)


def _rotate(z: Array, velocity: Array, step: float) -> tuple[Array, Array]:
    c, s = np.cos(step), np.sin(step)
    return c * z + s * velocity, c * velocity - s * z


def _metropolis(
    here: _Point, point: _Point, log_ratio: float, rng: np.random.Generator
) -> tuple[_Point, float]:
    chance = float(np.exp(log_acceptance(log_ratio)))
    return (point if rng.random() < chance else here), chance


def _reference_for(posterior: Posterior, rng: np.random.Generator) -> Reference:
    """The Laplace approximation where the model has derivatives, else the prior."""
    if not {Capability.JVP, Capability.VJP} <= posterior.model.capabilities:
        return Reference.standard(posterior.dim)
    try:
        return laplace_reference(posterior, rng)
    except (SolverDiverged, RunFailed):
        return Reference.standard(posterior.dim)


def _blend(reference: Reference, xis: Array) -> Reference:
    """Moments of the draws, shrunk to the old reference by as much as the draws are few."""
    n, dim = xis.shape
    weight = n / (n + 2.0 * dim)
    old = np.eye(dim) + (reference.basis * reference.excess) @ reference.basis.T
    covariance = weight * np.cov(xis.T) + (1 - weight) * old
    mean = weight * xis.mean(axis=0) + (1 - weight) * reference.mean
    return Reference.from_moments(mean, np.atleast_2d(covariance))


def tune(
    posterior: Posterior, n_moves: int, rng: np.random.Generator, windows: int = 4
) -> tuple[Kernel, Walker]:
    """Adapt reference and step size over ``n_moves`` and return the frozen kernel and where it is.

    The moments of the second half of each window refine the reference (in at most 200 dimensions);
    the step size adapts throughout, to an acceptance of 0.8 with and 0.3 without derivatives.

    Raises:
        RunFailed: no starting point could be solved.
    """
    kernel = Kernel(_reference_for(posterior, rng), float(np.log(0.3)))
    walker = Walker(*first_point(posterior, rng, kernel.reference.mean))
    length = max(2, n_moves // windows)
    for window in range(windows):
        kernel, walker, kept = _adapt(posterior, kernel, walker, length, rng)
        if window < windows - 1 and posterior.dim <= MOMENT_DIM and len(kept) > 2:
            kernel = Kernel(_blend(kernel.reference, kept), kernel.log_step, kernel.leapfrogs)
    return kernel, walker


def _adapt(
    posterior: Posterior, kernel: Kernel, walker: Walker, length: int, rng: np.random.Generator
) -> tuple[Kernel, Walker, Array]:
    """One window of Robbins-Monro steps; returns also the positions of its second half."""
    target = 0.8 if has_gradient(posterior) else 0.3
    kept = []
    for i in range(length):
        walker, chance = next(kernel.moves(posterior, walker, 1, rng))
        log_step = kernel.log_step + (chance - target) / (i + 5) ** 0.6
        kernel = Kernel(
            kernel.reference, min(log_step, float(np.log(LONGEST_STEP))), kernel.leapfrogs
        )
        if i >= length // 2:
            kept.append(walker.xi)
    return kernel, walker, np.asarray(kept)
