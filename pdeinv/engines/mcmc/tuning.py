"""Tuning of a kernel on one posterior, after which it is frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.adaptation import Moments, rebased, turning_points, with_directions
from pdeinv.engines.mcmc.chains import adapted
from pdeinv.engines.mcmc.kernel import (
    FIRST_STEP,
    MOST,
    WIDER,
    Kernel,
    Point,
    kernel_about,
    reference_for,
)
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import Place, first_point
from pdeinv.typing import Array

__all__ = ["Tuned", "dispersed_start", "tune"]

SEARCHES, SLACK = 4, 25.0
"""Most searches for a place to start; nats above the best of them at which one still counts."""

GUIDED, BLIND = 0.8, 0.3
"""Acceptance that the step aims at, with and without derivatives."""


@dataclass(frozen=True)
class Tuned:
    """A frozen kernel and where its chain is."""

    kernel: Kernel
    place: Place


def dispersed_start(reference: Reference, rng: np.random.Generator) -> Array:
    """A draw of the reference with 1.5 times its standard deviation; of N(0, I) a plain draw."""
    wider = WIDER if reference.basis.shape[1] else 1.0
    return reference.unwhiten(wider * rng.standard_normal(len(reference.mean)))


def _own_reference(posterior: Posterior, rng: np.random.Generator) -> Steps[Reference]:
    """The Laplace approximation that a search from a prior draw of one's own ends at.

    A search may get stuck far from anything that explains the data. Where it ends with more than
    twice the misfit to expect, others are made, and the first is taken that ends near the best: not
    the best itself, so that modes of one height are found alike.
    """
    found = list[tuple[float, Reference]]()
    for _ in range(SEARCHES):
        reference = yield from reference_for(posterior, rng, "prior")
        if not reference.basis.shape[1]:
            return reference
        misfit = float((yield Misfit(reference.mean)))
        found.append((misfit + float(cost(reference.mean)), reference))
        if misfit <= posterior.n_data:
            return reference
    least = min(height for height, _ in found)
    near = max(SLACK, 0.5 * posterior.dim)
    return next(r for height, r in found if height <= least + near)


def tune(posterior: Posterior, n_moves: int, rng: np.random.Generator) -> Steps[Tuned]:
    """Adapt reference and step size over ``n_moves``, from a start that no other chain shares.

    The search for the MAP point begins at a prior draw and the first place is a wide draw about
    what it finds, so that chains in different modes disagree. Moments of the chain's own draws
    change the reference at 30, 55 and 85 % of the moves, along at most 200 directions; the step
    size adapts throughout, to an acceptance of 0.8 with and 0.3 without derivatives.

    Raises:
        RunFailed: no starting point could be solved.
    """
    found = yield from _own_reference(posterior, rng)
    place = yield from first_point(rng, dispersed_start(found, rng))
    kernel = kernel_about(posterior, with_directions(found), FIRST_STEP)
    here, moments = (yield from kernel.at(place)), Moments.none(kernel.reference)
    began, *turns = turning_points(n_moves)
    target = GUIDED if kernel.guided else BLIND
    for k in range(1, n_moves + 1):
        moved = yield from kernel.move(here, rng)
        here = moved.point
        since = k - max([0, *(t for t in turns if t < k)])
        log_step = adapted(kernel.log_step, moved.chance, target, since + 4, MOST)
        kernel = replace(kernel, log_step=log_step)
        if k > began:
            moments = moments.with_draw(kernel.reference, here.z)
        if k in turns:
            kernel, here = yield from _turned(kernel, here, moments)
            moments = Moments.none(kernel.reference)
    return Tuned(kernel, here.place)


def _turned(kernel: Kernel, here: Point, moments: Moments) -> Steps[tuple[Kernel, Point]]:
    """The kernel about the reference with these moments, and the same place about it."""
    old, new = kernel.reference, moments.refined(kernel.reference)
    turned = replace(kernel, reference=new)
    if kernel.guided:
        return turned, rebased(here, old, new)
    return turned, (yield from turned.at(here.place))
