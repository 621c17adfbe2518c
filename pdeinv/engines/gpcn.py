"""pCN about a Gaussian reference, the kernel that explores a surrogate posterior.

With reference N(mean, C) the proposal v = mean + sqrt(1 - b²)(xi - mean) + b C^(1/2) w is reversible
with respect to the reference, hence the acceptance uses Φ + R minus the reference's cost (Pinski,
Simpson, Stuart, Weber 2015, §4). For a Gaussian posterior equal to the reference every proposal is
accepted, whatever b.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.laplace import gaussian_approximation
from pdeinv.engines.map import find_map
from pdeinv.engines.pcn import adapted
from pdeinv.errors import SolverDiverged
from pdeinv.models import Capability
from pdeinv.typing import Array

__all__ = ["Kernel", "Walker", "reference_for", "start", "tune"]

TARGET = 0.3
"""Acceptance that the tuning aims at."""

MOMENT_DIM = 200
"""Largest dimension in which sample moments refine the reference."""


@dataclass(frozen=True)
class Walker:
    """A position with its misfit under the posterior that the kernel explores."""

    xi: Array
    misfit: float


@dataclass(frozen=True)
class Kernel:
    """The proposal: its reference Gaussian and its log step size."""

    reference: Reference
    log_beta: float

    def steps(
        self, posterior: Posterior, walker: Walker, n: int, rng: np.random.Generator
    ) -> Iterator[tuple[Walker, float]]:
        """``n`` steps; after each, the walker and the acceptance probability of the proposal."""
        beta, mean = np.exp(self.log_beta), self.reference.mean
        keep, energy = np.sqrt(1 - beta**2), self._energy(walker)
        for _ in range(n):
            noise = self.reference.root(rng.standard_normal(posterior.dim))
            xi = mean + keep * (walker.xi - mean) + beta * noise
            proposal = Walker(xi, float(posterior.misfit(xi)))
            new_energy, chance = np.inf, 0.0
            if np.isfinite(proposal.misfit):
                new_energy = self._energy(proposal)
                chance = float(np.exp(min(0.0, energy - new_energy)))
            if rng.random() < chance:
                walker, energy = proposal, new_energy
            yield walker, chance

    def walk(
        self, posterior: Posterior, walker: Walker, n: int, rng: np.random.Generator
    ) -> Walker:
        """The walker after ``n`` steps."""
        for walker, _ in self.steps(posterior, walker, n, rng):  # noqa: B020, PLR1704
            pass
        return walker

    def _energy(self, walker: Walker) -> float:
        return walker.misfit + float(cost(walker.xi)) - self.reference.cost(walker.xi)


def start(posterior: Posterior, rng: np.random.Generator) -> Walker:
    """A walker at a prior draw."""
    xi = rng.standard_normal(posterior.dim)
    return Walker(xi, float(posterior.misfit(xi)))


def reference_for(posterior: Posterior, rng: np.random.Generator) -> Reference:
    """The Laplace approximation where the model has derivatives, else the prior."""
    if not {Capability.JVP, Capability.VJP} <= posterior.model.capabilities:
        return Reference.standard(posterior.dim)
    try:
        xi = find_map(posterior, rng)
        laplace = gaussian_approximation(posterior, xi, min(posterior.dim, 50), rng)
    except SolverDiverged:
        return Reference.standard(posterior.dim)
    return Reference(
        laplace.mean, laplace.vectors, -laplace.eigenvalues / (1 + laplace.eigenvalues)
    )


def _blend(reference: Reference, xis: Array) -> Reference:
    """Moments of the draws, shrunk to the old reference by as much as the draws are few."""
    n, dim = xis.shape
    weight = n / (n + 10.0 * dim)
    old = np.eye(dim) + (reference.basis * reference.excess) @ reference.basis.T
    covariance = weight * np.cov(xis.T) + (1 - weight) * old
    mean = weight * xis.mean(axis=0) + (1 - weight) * reference.mean
    return Reference.from_moments(mean, np.atleast_2d(covariance))


def tune(
    posterior: Posterior, n_steps: int, rng: np.random.Generator, windows: int = 4
) -> tuple[Kernel, Walker]:
    """Adapt reference and step size over ``n_steps`` and return the frozen kernel and where it is.

    The moments of the second half of each window refine the reference; the step size adapts
    throughout by Robbins-Monro.
    """
    reference = reference_for(posterior, rng)
    kernel = Kernel(reference, float(np.log(0.3)))
    walker = Walker(reference.mean, float(posterior.misfit(reference.mean)))
    if len(reference.excess) == 0:
        walker = start(posterior, rng)
    length = max(1, n_steps // windows)
    for window in range(windows):
        kernel, walker, kept = _adapt(posterior, kernel, walker, length, rng)
        if window < windows - 1 and posterior.dim <= MOMENT_DIM and len(kept) > 2:
            kernel = Kernel(_blend(kernel.reference, kept), kernel.log_beta)
    return kernel, walker


def _adapt(
    posterior: Posterior, kernel: Kernel, walker: Walker, length: int, rng: np.random.Generator
) -> tuple[Kernel, Walker, Array]:
    """One window of adaptation; returns also thinned positions of its second half."""
    kept = []
    for i in range(length):
        walker, chance = next(kernel.steps(posterior, walker, 1, rng))
        kernel = Kernel(kernel.reference, adapted(kernel.log_beta, chance, TARGET, i))
        if i >= length // 2 and i % 10 == 0:
            kept.append(walker.xi)
    return kernel, walker, np.asarray(kept)
