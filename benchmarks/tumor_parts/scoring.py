"""The most probable unknown of masks in steps: coarse voxels first, then Fisher scoring on finer.

``pdeinv invert --engine map`` searches on the voxels that it is given, from the prior mean. Here
that search runs on voxels of 8 mm, with the seed in the middle of the core, and Fisher scoring goes
on from its end on voxels of 8, 4 and then 2 mm: steps of the inverse of H = w JᵀFJ + I in whitened
coordinates, halved until the objective falls. Columns of J are differences of solves, of which one
costs a third of a tangent; they are off by 1e-4 of themselves. The end is within ``TOLERANCE``
posterior standard deviations of the minimum that ``map`` would find on the finest voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.links import LINKS
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import Prior, whiten
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.requests import drive
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.rng import stream
from pdeinv.typing import Array

from .patients import BOX, VOXEL

__all__ = ["Masks", "Scored", "coarse", "masks_of", "objective", "scored"]

Config = Callable[[int], TumorConfig]

LINK = LINKS["threshold"]
STEP = 1e-4
"""Of differences, in standard deviations of the prior."""
TOLERANCE, MOST = 0.05, 15
"""Of the last step on the finest voxels, in posterior standard deviations, and of steps."""
EARLY, FEW = 0.5, 8
"""The same on coarser ones, from which the search goes on anyway."""
FIRST = 30
"""Iterations of engine ``map`` on the coarsest."""


@dataclass
class Masks:
    """The posterior of masks on some voxels.

    Attributes:
        config: of the problem.
        prior: of the unknown.
        model: m to z of each datum.
        region: of each datum, from 1.
        solves: counted.
    """

    config: TumorConfig
    prior: Prior
    model: ForwardModel
    region: Array
    solves: int = 0

    def z(self, xi: Array) -> Array:
        """What is predicted."""
        self.solves += 1
        return self.model(self.prior.unwhiten(xi))

    def scale(self, xi: Array) -> Array:
        """dm/dξ of each number: the prior's are independent."""
        steps = STEP * np.eye(len(xi))
        ends = [self.prior.unwhiten(xi + e) - self.prior.unwhiten(xi - e) for e in steps]
        return np.diag(np.array(ends)) / (2 * STEP)

    def jacobian(self, xi: Array, z: Array) -> Array:
        """∂z/∂ξ, (n_d, n): by differences, of thresholds written down where z is linear in them."""
        assert self.config.masks is not None
        known = [] if self.config.masks.softness_mm is not None else self.thresholds(xi)
        moved = STEP * np.eye(len(xi))[: len(xi) - len(known)]
        return np.stack([*((self.z(xi + e) - z) / STEP for e in moved), *known], axis=1)

    def thresholds(self, xi: Array) -> list[Array]:
        """Columns of unknown thresholds for a softness of c."""
        masks = self.config.masks
        assert masks is not None
        scale = self.scale(xi)[5:] / masks.softness
        return [-d * (self.region == k) for k, d in enumerate(scale, 1)]


def masks_of(config: TumorConfig, places: Sensors) -> Masks:
    """On the voxels of a configuration."""
    problem = Tumor(config)
    region = np.asarray(places["region"])
    return Masks(config, problem.prior(), problem.forward_model(places), region)


@dataclass(frozen=True)
class Scored:
    """The end of a search.

    Attributes:
        xi: the unknown, whitened.
        z: what it predicts, by J from the last point that was solved for.
        j: ∂z/∂ξ there.
        precision: H.
        converged: whether the last step was short enough.
    """

    xi: Array
    z: Array
    j: Array
    precision: Array
    converged: bool


def objective(z: Array, y: Array, xi: Array, share: float, prior: float) -> float:
    """J of data or probabilities y."""
    each = y * LINK.log(z) + (1 - y) * LINK.log(-z)
    return float(-share * each.sum() + prior * xi @ xi / 2)


def scored(
    on: Masks,
    y: Array,
    xi: Array,
    share: float = 1.0,
    prior: float = 1.0,
    begun: tuple[Array, Array] | None = None,
    stop: tuple[float, int] = (TOLERANCE, MOST),
) -> Scored:
    """Fisher scoring from ``xi``.

    Args:
        on: the posterior.
        y: zeros and ones, or how probable a one is: data without randomness.
        xi: where to start.
        share: weight of the data.
        prior: weight of the prior; 0 for the estimate of the data alone.
        begun: z and J at ``xi`` where they are known.
        stop: the length of a last step, and the most of them.
    """
    z, j = begun if begun is not None else (on.z(xi), None)
    for _ in range(stop[1]):
        if j is None:
            j = on.jacobian(xi, z)
        slope = share * (y * LINK.slope(z) - (1 - y) * LINK.slope(-z))
        h = share * j.T @ (LINK.information(z)[:, None] * j) + prior * np.eye(len(xi))
        # without a prior there may be directions that data say nothing of
        step = np.linalg.lstsq(h, j.T @ slope - prior * xi, rcond=1e-12)[0]
        length = float(np.sqrt(step @ h @ step))
        if length < stop[0]:
            # what is left after it is a part of its square
            return Scored(xi + step, z + j @ step, j, h, True)
        now, found = objective(z, y, xi, share, prior), None
        step *= min(1.0, 1.5 / float(np.abs(step).max()))
        for half in range(8):
            new = xi + step / 2**half
            found = on.z(new)
            if objective(found, y, new, share, prior) < now:
                break
        else:
            return Scored(xi, z, j, h, False)
        xi, z, j = new, found, None
    return Scored(xi, z, on.jacobian(xi, z), h, False)


def middle(prior: Prior, places: Sensors, y: Array) -> Array:
    """The prior mean with the seed in the middle of the core, or of the tumor where none is seen.

    From the prior mean itself one search in 17 ended beside the tumor.
    """
    region = np.asarray(places["region"])
    seen = (y > 0) & (region == region[y > 0].max())
    m = prior.unwhiten(np.zeros(prior.dim))
    found = [np.asarray(places[axis])[seen].mean() for axis in "xyz"]
    m[2:5] = np.clip(found, BOX / 4 + VOXEL, 3 * BOX / 4 - VOXEL)
    return np.asarray(whiten(prior, m[None])[0])


def coarse(
    config: Config, places: Sensors, y: Array, share: float, number: int
) -> tuple[Array, int]:
    """Where the search ends on voxels of 8 and then of 4 mm, and its solves.

    Args:
        config: of the patient by the voxels along a side.
        places: of the data.
        y: the data.
        share: their weight.
        number: of the patient.
    """
    first, then = masks_of(config(24), places), masks_of(config(48), places)
    law = Bernoulli(len(y), "threshold", share)
    posterior = Posterior(first.prior, WhitenedModel(first.prior, first.model), y, law)
    options, rng = OptimizerConfig(max_iterations=FIRST), stream(number, "search")
    xi = drive(posterior, find_map(posterior, rng, options, middle(first.prior, places, y)))
    for on in (first, then):
        xi = scored(on, y, xi, share, stop=(EARLY, FEW)).xi
    spent = posterior.counters
    solves = spent.n_forward + 2 * (spent.n_adjoint + spent.n_tangent)
    return xi, solves + first.solves + then.solves
