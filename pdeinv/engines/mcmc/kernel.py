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
from pdeinv.engines.learned_start import estimated_reference
from pdeinv.engines.requests import Linearize, Misfit, Steps
from pdeinv.engines.solvable import Place
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
    "kernel_about",
    "reference_for",
    "shortened",
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

ROTATIONS, LEAPFROGS = 8, 64
"""Steps of a move without derivatives, and the most of a trajectory."""

JITTER = 0.4
"""Trajectories are uniform within so much of their mean, so that none returns for ever."""


SHORT, SHORTEST = 0.1, 0.05
"""The share of paths with shorter steps, and the least of these as a share of a step: the posterior
has places so stiff that the usual step leaves them once in hundreds of paths."""

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
        # dot, which never warns of overflow as @ does, and takes half its time
        return self.psi + 0.5 * float(self.z.dot(self.z)) + 0.5 * float(velocity.dot(velocity))


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
        path: mean length of a trajectory in radians; a quarter turn forgets the start of a
            Gaussian, tails that are heavier want more.
    """

    reference: Reference
    log_step: float
    guided: bool
    path: float = 2.0

    @property
    def evaluations(self) -> int:
        """Model evaluations of one move, on average."""
        if not self.guided:
            return ROTATIONS
        return min(LEAPFROGS, int(np.ceil(self.path / min(np.exp(self.log_step), LONGEST_STEP))))

    def at(self, place: Place) -> Steps[Point]:
        """Where moves from ``place`` begin."""
        return (yield from self._point(self.reference.whiten(place.xi), place))

    def begin(self, place: Place) -> Steps[Point]:
        """The same, of a chain that shall begin there.

        Raises:
            SolverDiverged: the derivative fails.
        """
        here = yield from self.at(place)
        if not np.isfinite(here.psi):
            raise SolverDiverged("the gradient is not finite")
        return here

    def move(self, here: Point, rng: np.random.Generator, tilt: Tilt = _level) -> Steps[Moved]:
        """One trajectory, or some single steps without derivatives.

        Args:
            here: where it starts.
            rng: for velocities, lengths and acceptances.
            tilt: the log of a factor of the target at its second argument over that at its first.
        """
        step = min(np.exp(self.log_step), LONGEST_STEP)
        if self.guided:
            return (yield from self._trajectory(here, step, rng, tilt))
        return (yield from self._rotations(here, step, rng, tilt))

    def trail(self, place: Place, n: int, rng: np.random.Generator) -> Steps[list[Place]]:
        """Where each of ``n`` moves leads; the very same place until one is accepted."""
        here, places = (yield from self.at(place)), list[Place]()
        here = replace(here, place=place)
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
        length = self.path * rng.uniform(1 - JITTER, 1 + JITTER)
        n = min(LEAPFROGS, int(np.ceil(length / step)))
        step = min(step, length / n) * shortened(rng)
        velocity = rng.standard_normal(len(here.z))
        start, point, highest = here.energy(velocity), here, -np.inf
        for _ in range(n):
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
        for _ in range(ROTATIONS):
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


def shortened(rng: np.random.Generator) -> float:
    """One, or now and then a factor between ``SHORTEST`` and one, uniform in its logarithm."""
    return float(SHORTEST ** rng.random()) if rng.random() < SHORT else 1.0


def _rotate(z: Array, velocity: Array, step: float) -> tuple[Array, Array]:
    c, s = float(np.cos(step)), float(np.sin(step))
    turned = c * z
    turned += s * velocity
    moving = c * velocity
    moving -= s * z
    return turned, moving


def _metropolis(here: Point, point: Point, log_ratio: float, rng: np.random.Generator) -> Moved:
    chance = float(np.exp(log_acceptance(log_ratio)))
    return Moved(point if rng.random() < chance else here, chance)


def kernel_about(posterior: Posterior, reference: Reference, log_step: float) -> Kernel:
    """The kernel, guided where the model of ``posterior`` has adjoint derivatives."""
    return Kernel(reference, log_step, Capability.VJP in posterior.model.capabilities)


def reference_for(
    posterior: Posterior, rng: np.random.Generator, start: Literal["mean", "prior"] = "mean"
) -> Steps[Reference]:
    """The Laplace approximation where the model has both derivatives and it is found.

    Else the estimate of a learned inverse, where there is one, or N(0, I).

    Args:
        posterior: of any model.
        rng: for the start and the sketch of the Hessian.
        start: where the search for the MAP point begins.
    """
    if posterior.model.capabilities >= DERIVATIVES:
        with suppress(RunFailed):
            return (yield from laplace_reference(posterior, rng, start))
    if posterior.estimate is not None:
        return estimated_reference(posterior, "this engine")
    return Reference.standard(posterior.dim)
