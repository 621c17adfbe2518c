"""The Laplace approximation as the reference measure of a proposal."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.reference import Reference
from pdeinv.engines.laplace import gaussian_approximation
from pdeinv.engines.map import OptimizerConfig, find_map

__all__ = ["laplace_reference"]

RANK = 50
"""Eigenpairs sought at first; the rank doubles while the last eigenvalue is above 1."""


def laplace_reference(
    posterior: Posterior, rng: np.random.Generator, start: Literal["mean", "prior"] = "mean"
) -> Reference:
    """N(xi_map, (I + J^T Γ^(-1) J)^(-1)), the directions below the cut-off left to the prior.

    Args:
        posterior: a model with derivatives; its solves are counted there.
        rng: for the start of the minimisation and the sketch of the Hessian.
        start: minimise from the prior mean, or from a prior draw.

    Raises:
        RunFailed: no starting point could be solved.
        SolverDiverged: the linearisation at the start or at the end failed.
    """
    xi = find_map(posterior, rng, OptimizerConfig.model_validate({"start": start}))
    found = gaussian_approximation(posterior, xi, min(posterior.dim, RANK), rng)
    return Reference(found.mean, found.vectors, -found.eigenvalues / (1 + found.eigenvalues))
