"""Hamiltonian moves about a Gaussian reference, for ``two-level`` and ``hmc``.

With reference N(mean, C), xi = mean + C^(1/2) z and Ψ(z) = Φ + R - ½|z|², position and velocity
turn exactly under the reference (rotation by the step ε) and Ψ only kicks the velocity (Beskos,
Pinski, Sanz-Serna, Stuart 2011, §3). Nothing degrades with the dimension of xi, and where the
posterior equals the reference every step is accepted. Without derivatives the kicks vanish and each
step is the preconditioned Crank-Nicolson proposal about the reference with b = sin ε.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.gaussian.approximation import laplace_reference
from pdeinv.engines.mcmc.chains import adapted
from pdeinv.engines.requests import Linearize, Misfit, Steps
from pdeinv.engines.solvable import Place, first_point
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES, Capability
from pdeinv.typing import Array

__all__ = [
    "DIVERGENT",
    "FIRST_STEP",
    "LONGEST_STEP",
    "MOMENT_DIM",
    "MOST",
    "Kernel",
    "Moved",
    "Point",
    "Tilt",
    "Tuned",
    "blend",
    "kernel_about",
    "reference_for",
    "tune",
]

MOMENT_DIM = 200
"""Largest dimension in which sample moments refine the reference."""

LONGEST_STEP = 1.5
"""Upper limit of ε: a quarter turn forgets the start."""

DIVERGENT = 1000.0
"""An energy error above this is no rounding of the path: the steps are too long there. It is held
against both ends, so that the way back ends alike."""

MOST, FIRST_STEP = float(np.log(LONGEST_STEP)), float(np.log(0.3))
"""Of log ε: its upper limit, and where adaptation begins."""


type Tilt = Callable[[Array, Array], float]
"""How much a factor of the target changes from one point to another, in logarithms."""


def _level(*_: Array) -> float:
    """No further factor."""
    return 0.0


@dataclass(frozen=True)
class Point:
    """A position in reference coordinates with Ψ and its gradient (empty without derivatives)."""

    z: Array
    place: Place
    psi: float
    gradient: Array

    def energy(self, velocity: Array) -> float:
        """Ψ + ½|z|² + ½|v|²; infinite on a path that ran away."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._energy(velocity)

    def _energy(self, velocity: Array) -> float:
        return self.psi + 0.5 * float(self.z @ self.z) + 0.5 * float(velocity @ velocity)


@dataclass(frozen=True)
class Moved:
    """Where one move led, and its mean acceptance probability."""

    point: Point
    chance: float


@dataclass(frozen=True)
class Kernel:
    """The proposal.

    Attributes:
        reference: the Gaussian N(mean, C).
        log_step: log ε.
        guided: whether derivatives guide it.
        leapfrogs: mean number of model evaluations of one move.
    """

    reference: Reference
    log_step: float
    guided: bool
    leapfrogs: int = 8

    def at(self, place: Place) -> Steps[Point]:
        """Where moves from ``place`` begin."""
        return (yield from self._point(self.reference.whiten(place.xi), place))

    def move(self, here: Point, rng: np.random.Generator, tilt: Tilt = _level) -> Steps[Moved]:
        """One trajectory, or as many single steps as it has evaluations.

        Args:
            here: where it starts.
            rng: for velocities, lengths and acceptances.
            tilt: the log of a factor of the target at its second argument over that at its first.
        """
        step = min(np.exp(self.log_step), LONGEST_STEP)
        if self.guided:
            return (yield from self._trajectory(here, step * rng.uniform(0.7, 1.3), rng, tilt))
        return (yield from self._rotations(here, step, rng, tilt))

    def trail(self, place: Place, n: int, rng: np.random.Generator) -> Steps[list[Place]]:
        """Where each of ``n`` moves leads."""
        here, places = (yield from self.at(place)), []
        for _ in range(n):
            here = (yield from self.move(here, rng)).point
            places.append(here.place)
        return places

    def leapfrog(self, point: Point, velocity: Array, step: float) -> Steps[tuple[Point, Array]]:
        """Half a kick, a turn by ``step``, half a kick; Ψ is infinite where the solve fails."""
        velocity = velocity - 0.5 * step * point.gradient
        z, velocity = _rotate(point.z, velocity, step)
        point = yield from self._point(z)
        return point, velocity - 0.5 * step * point.gradient

    def _trajectory(
        self, here: Point, step: float, rng: np.random.Generator, tilt: Tilt
    ) -> Steps[Moved]:
        """One Hamiltonian trajectory of random length, accepted or not."""
        velocity = rng.standard_normal(len(here.z))
        start, point, highest = here.energy(velocity), here, -np.inf
        for _ in range(rng.integers(1, 2 * self.leapfrogs)):
            point, velocity = yield from self.leapfrog(point, velocity, step)
            energy = point.energy(velocity)
            if not energy - start <= DIVERGENT:  # NaN as well
                return Moved(here, 0.0)
            highest = max(highest, energy)
        if highest - energy > DIVERGENT:
            return Moved(here, 0.0)
        gain = start - energy + tilt(here.place.xi, point.place.xi)
        return _metropolis(here, point, gain, rng)

    def _rotations(
        self, here: Point, step: float, rng: np.random.Generator, tilt: Tilt
    ) -> Steps[Moved]:
        """Crank-Nicolson steps, each accepted or not."""
        chances = []
        for _ in range(self.leapfrogs):
            z, _ = _rotate(here.z, rng.standard_normal(len(here.z)), step)
            point = yield from self._point(z)
            gain = here.psi - point.psi + tilt(here.place.xi, point.place.xi)
            moved = _metropolis(here, point, gain, rng)
            here = moved.point
            chances.append(moved.chance)
        return Moved(here, float(np.mean(chances)))

    def _point(self, z: Array, place: Place | None = None) -> Steps[Point]:
        """Ψ at ``z``, infinite where the solve fails; ``place`` saves a solve without gradient."""
        xi, gradient = self.reference.unwhiten(z), np.zeros(0)
        if self.guided:
            try:
                at = yield Linearize(xi)
            except SolverDiverged:
                return Point(z, Place(xi, np.inf), np.inf, np.zeros_like(z))
            place, density = Place(xi, at.misfit), at.neg_log_posterior
            gradient = self.reference.root(at.gradient) - z
        else:
            place = place or Place(xi, float((yield Misfit(xi))))
            density = place.misfit + float(cost(xi))
        psi = density - 0.5 * float(z @ z)
        return Point(z, place, psi if np.isfinite(psi) else np.inf, gradient)


def _rotate(z: Array, velocity: Array, step: float) -> tuple[Array, Array]:
    c, s = np.cos(step), np.sin(step)
    return c * z + s * velocity, c * velocity - s * z


def _metropolis(here: Point, point: Point, log_ratio: float, rng: np.random.Generator) -> Moved:
    chance = float(np.exp(log_acceptance(log_ratio)))
    return Moved(point if rng.random() < chance else here, chance)


def kernel_about(posterior: Posterior, reference: Reference, log_step: float) -> Kernel:
    """The kernel, guided where the model of ``posterior`` has adjoint derivatives."""
    return Kernel(reference, log_step, Capability.VJP in posterior.model.capabilities)


def reference_for(
    posterior: Posterior, rng: np.random.Generator, start: Literal["mean", "prior"] = "mean"
) -> Steps[Reference]:
    """The Laplace approximation where the model has both derivatives and it is found, else N(0, I).

    Args:
        posterior: of any model.
        rng: for the start and the sketch of the Hessian.
        start: where the search for the MAP point begins.
    """
    if posterior.model.capabilities >= DERIVATIVES:
        with suppress(SolverDiverged, RunFailed):
            return (yield from laplace_reference(posterior, rng, start))
    return Reference.standard(posterior.dim)


def blend(reference: Reference, xis: Array) -> Reference:
    """Moments of the draws, shrunk to the old reference by as much as the draws are few.

    Up to two draws say nothing.
    """
    n, dim = xis.shape
    if n <= 2:
        return Reference.from_moments(reference.mean, reference.covariance)
    weight = n / (n + 2.0 * dim)
    covariance = weight * np.cov(xis.T) + (1 - weight) * reference.covariance
    mean = weight * xis.mean(axis=0) + (1 - weight) * reference.mean
    return Reference.from_moments(mean, np.atleast_2d(covariance))


@dataclass(frozen=True)
class Tuned:
    """A frozen kernel and where its chain is."""

    kernel: Kernel
    place: Place


def tune(
    posterior: Posterior, n_moves: int, rng: np.random.Generator, windows: int = 4
) -> Steps[Tuned]:
    """Adapt reference and step size over ``n_moves``.

    The moments of the second half of each window refine the reference (in at most 200 dimensions);
    the step size adapts throughout, to an acceptance of 0.8 with and 0.3 without derivatives.

    Raises:
        RunFailed: no starting point could be solved.
    """
    reference = yield from reference_for(posterior, rng)
    kernel = kernel_about(posterior, reference, FIRST_STEP)
    place = yield from first_point(rng, reference.mean)
    length = max(2, n_moves // windows)
    for window in range(windows):
        places = []
        for i in range(length):
            here = yield from kernel.at(place)
            moved = yield from kernel.move(here, rng)
            place = moved.point.place
            places.append(place.xi)
            target = 0.8 if kernel.guided else 0.3
            log_step = adapted(kernel.log_step, moved.chance, target, i + 5, MOST)
            kernel = replace(kernel, log_step=log_step)
        kept = np.asarray(places[length // 2 :])
        if window < windows - 1 and posterior.dim <= MOMENT_DIM and len(kept) > 2:
            kernel = replace(kernel, reference=blend(kernel.reference, kept))
    return Tuned(kernel, place)
