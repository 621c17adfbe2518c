"""Where a chain starts: about its own minimum, wider than the posterior, and nowhere absurd."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import Place, first_point

__all__ = ["ABSURD", "dispersed_start"]

WIDER = 1.5
"""First points are drawn with so many times the standard deviation of the reference."""

ABSURD, HALVINGS = 3.0, 8
"""A rise of J above its minimum, by dimension, at which no chain starts (a draw of a Gaussian so
wide has 1.1, one of the posterior ½), and how often the distance is halved."""


def dispersed_start(reference: Reference, rng: np.random.Generator) -> Steps[Place]:
    """A draw of the widened reference, drawn in to its mean until J is not absurd there.

    A chain that starts at an energy far beyond what the posterior knows may fall into a place where
    the model means nothing any more, and stay.

    Raises:
        RunFailed: no starting point could be solved.
    """
    mean, dim = reference.mean, len(reference.mean)
    least = float((yield Misfit(mean)) + cost(mean))
    off = WIDER * reference.root(rng.standard_normal(dim))
    for _ in range(HALVINGS):
        place = yield from first_point(rng, mean + off)
        if not place.misfit + float(cost(place.xi)) - least > ABSURD * dim:
            return place
        off = 0.5 * off
    return place
