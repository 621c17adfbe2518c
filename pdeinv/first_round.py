"""Where the first training round is drawn: about the fine model's MAP point.

A posterior of the coarse model alone may lie many standard deviations away from the fine one, where
a mesh does not follow the cells of the unknown for instance; what is learned there says nothing
about the place that counts. Where the fine model has derivatives, its Laplace approximation is
there for a few solves, most of the way to the MAP point being gone with the coarse model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.laplace_reference import laplace_at_map
from pdeinv.engines.map import OptimizerConfig, find_map
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.models import Capability, require
from pdeinv.typing import Array

__all__ = ["about_the_map", "can_start_at_map"]

ROUGH = OptimizerConfig.model_validate({"tolerance": 1e-2, "max_iterations": 20})
"""The search for the MAP point: the draws are wider than the posterior, so that near it will do."""

DERIVATIVES = frozenset({Capability.JVP, Capability.VJP})


def can_start_at_map(fine: Posterior) -> bool:
    """Whether the model has the derivatives that it takes."""
    return fine.model.capabilities >= DERIVATIVES


def about_the_map(
    fine: Posterior, coarse: Posterior, n: int, inflation: float, rng: np.random.Generator
) -> Array:
    """``n`` draws of N(xi_map, (I + H / inflation²)^(-1)), shape (n, dim).

    H is the Gauss-Newton Hessian of the fine misfit at the fine MAP point, so that the draws are
    those of the Laplace approximation under ``inflation`` times the noise.

    Args:
        fine: the posterior; its solves, tangents and adjoints are counted there.
        coarse: the same with a cheap model, whose MAP point the search starts from.
        n: how many.
        inflation: factor on the noise.
        rng: for starts that fail, the sketch of H and the draws.

    Raises:
        CapabilityError: the fine model has no derivatives.
        RunFailed: no starting point could be solved.
        SolverDiverged: the linearisation at the start or at the MAP point failed.
    """
    require(fine.model, DERIVATIVES, "training with start = 'laplace'")
    found = laplace_at_map(fine, rng, ROUGH, _coarse_map(coarse, rng))
    return replace(found, eigenvalues=found.eigenvalues / inflation**2).sample(rng, n)


def _coarse_map(coarse: Posterior, rng: np.random.Generator) -> Array | None:
    if not can_start_at_map(coarse):
        return None
    try:
        return find_map(coarse, rng)
    except (RunFailed, SolverDiverged):
        return None
