"""The Laplace approximation for engines that start from it: found, and as a reference measure."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.reference import Reference
from pdeinv.engines.gaussian.laplace import LaplaceApproximation, gaussian_approximation
from pdeinv.engines.gaussian.map import OptimizerConfig, find_map

__all__ = ["laplace_at_map", "laplace_reference"]

RANK = 50
"""Eigenpairs sought at first; the rank doubles while the last eigenvalue is above 1."""


def laplace_at_map(
    posterior: Posterior,
    rng: np.random.Generator,
    config: OptimizerConfig | None = None,
) -> LaplaceApproximation:
    """N(xi_map, (I + J^T Γ^(-1) J)^(-1)), the directions below the cut-off left to the prior.

    Args:
        posterior: a model with derivatives; its solves are counted there.
        rng: for the start of the minimisation and the sketch of the Hessian.
        config: of the minimisation.

    Raises:
        RunFailed: no starting point could be solved.
        SolverDiverged: the linearisation at the start or at the end failed.
    """
    xi = find_map(posterior, rng, config)
    return gaussian_approximation(posterior, xi, min(posterior.dim, RANK), rng)


def laplace_reference(
    posterior: Posterior, rng: np.random.Generator, start: Literal["mean", "prior"] = "mean"
) -> Reference:
    """The same as a reference measure, the minimisation from the prior mean or a prior draw."""
    found = laplace_at_map(posterior, rng, OptimizerConfig.model_validate({"start": start}))
    return Reference(found.mean, found.vectors, -found.eigenvalues / (1 + found.eigenvalues))
