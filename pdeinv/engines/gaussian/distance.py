"""How far a point is from the most probable one, in posterior standard deviations."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.posterior import Posterior, PosteriorPoint
from pdeinv.engines.gaussian.approximation import RANK, gaussian_approximation
from pdeinv.engines.requests import Linearize, Steps
from pdeinv.typing import Array

__all__ = ["distance_to_minimum"]


def distance_to_minimum(posterior: Posterior, xi: Array, rng: np.random.Generator) -> Steps[Array]:
    """|C g| over the standard deviations of C, shape (dim,): one Gauss-Newton step from ``xi``.

    g is the gradient of Φ + R and C the covariance of the Laplace approximation there; costs a
    linearization and 2 (rank + oversampling) actions of the Hessian.

    Raises:
        SolverDiverged: the linearization failed.
    """
    at: PosteriorPoint = yield Linearize(xi)
    found = yield from gaussian_approximation(posterior, xi, RANK, rng)
    return np.abs(found.covariance(at.gradient)) / np.sqrt(found.variance)
