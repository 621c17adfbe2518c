"""Where the first training round is drawn: about the fine model's MAP point.

A posterior of the coarse model alone may lie many standard deviations away from the fine one, where
a mesh does not follow the cells of the unknown for instance; what is learned there says nothing
about the place that counts. Where the fine model has derivatives, its Laplace approximation is
there for a few solves, most of the way to the MAP point being gone with the coarse model. The
derivative that it takes also corrects the coarse model to first order
(:mod:`pdeinv.model.tangent`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.gaussian.approximation import (
    RANK,
    LaplaceApproximation,
    gaussian_approximation,
)
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.requests import drive
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES, require
from pdeinv.model.tangent import Tangent
from pdeinv.typing import Array

__all__ = ["AtMap", "at_the_map", "can_start_at_map"]

ROUGH = OptimizerConfig.model_validate({"tolerance": 1e-2, "max_iterations": 20})
"""The search for the MAP point: the draws are wider than the posterior, so that near it will do."""

FULL = 200
"""Up to so many unknowns the whole derivative costs less than a sketch of the Hessian."""


def can_start_at_map(fine: Posterior) -> bool:
    """Whether the model has the derivatives that it takes."""
    return fine.model.capabilities >= DERIVATIVES


@dataclass(frozen=True)
class AtMap:
    """What the fine model says of its MAP point.

    Attributes:
        laplace: N(xi_map, (I + H)^(-1)), H the Gauss-Newton Hessian of the misfit.
        tangent: the model's linearization there, along the directions that H knows.
    """

    laplace: LaplaceApproximation
    tangent: Tangent

    def draws(self, n: int, inflation: float, rng: np.random.Generator) -> Array:
        """``n`` draws (n, dim) of the Laplace approximation for ``inflation`` times the noise."""
        wide = replace(self.laplace, eigenvalues=self.laplace.eigenvalues / inflation**2)
        return wide.sample(rng, n)


def at_the_map(fine: Posterior, coarse: Posterior, rng: np.random.Generator) -> AtMap:
    """Search the fine MAP point and linearize there.

    Args:
        fine: the posterior; its solves, tangents and adjoints are counted there.
        coarse: the same with a cheap model, whose MAP point the search starts from.
        rng: for starts that fail and the sketch of H.

    Raises:
        CapabilityError: the fine model has no derivatives.
        RunFailed: no starting point could be solved.
        SolverDiverged: the linearization at the start or at the MAP point failed.
    """
    require(fine.model, DERIVATIVES, "training with start = 'laplace'")
    xi = drive(fine, find_map(fine, rng, ROUGH, _coarse_map(coarse, rng)))
    sketched = None
    if fine.dim > FULL:
        sketched = drive(fine, gaussian_approximation(fine, xi, RANK, rng))
    at = fine.linearize(xi)
    directions = np.eye(fine.dim) if sketched is None else sketched.vectors
    tangent = Tangent.along(directions, xi, at.prediction, at.jvp)
    return AtMap(sketched or _exact(fine, tangent), tangent)


def _exact(fine: Posterior, tangent: Tangent) -> LaplaceApproximation:
    """The Laplace approximation from the whole derivative."""
    jacobian = fine.noise.whiten(tangent.images.T)
    values, vectors = np.linalg.eigh(jacobian @ jacobian.T)
    return LaplaceApproximation(tangent.point, np.maximum(values, 0)[::-1], vectors[:, ::-1], 0.0)


def _coarse_map(coarse: Posterior, rng: np.random.Generator) -> Array | None:
    if not can_start_at_map(coarse):
        return None
    try:
        return drive(coarse, find_map(coarse, rng))
    except (RunFailed, SolverDiverged):
        return None
