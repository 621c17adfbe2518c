"""The pieces that ``gauss-newton`` chooses by its options: the penalty, β and the active bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.differences import differences
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.regularized.penalties import Penalty, Quadratic, TotalVariation, smoothness
from pdeinv.typing import Array

__all__ = ["at_bounds", "penalty_of", "typical_gradient"]


def penalty_of(
    config: GaussNewtonConfig,
    posterior: Posterior,
    coordinates: Parametrization,
    scale: Array,
    beta: float,
) -> Penalty:
    """The penalty of p - p_ref.

    Args:
        config: the options.
        posterior: whose unknown has the coordinates.
        coordinates: p and its reference.
        scale: diagonal of Jᵀ Γ⁻¹ J, for NOSER.
        beta: β of the total variation; where 0, the penalty is the smooth one.

    Raises:
        CapabilityError: the unknown has no coordinates.
    """
    n = len(coordinates.reference)
    if config.regularization in ("tikhonov", "prior"):
        return Quadratic(sparse.csc_array(sparse.eye_array(n)))
    if config.regularization == "noser":
        # An entry that no datum sees still has to stay where it is.
        seen = np.maximum(scale, 1e-12 * scale.max(initial=0.0) or 1.0)
        return Quadratic(sparse.csc_array(sparse.diags_array(seen**config.noser_power)))
    who = f"engine 'gauss-newton' with regularization '{config.regularization}'"
    neighbours = differences(posterior.prior.space, who)
    if config.regularization == "smoothness" or beta == 0:
        return smoothness(neighbours, coordinates.reference)
    return TotalVariation(neighbours, coordinates.reference, beta)


def typical_gradient(config: GaussNewtonConfig, posterior: Posterior, e: Array) -> float:
    """β: a share of the steepest gradient of e; 0 where it is not asked for."""
    if config.regularization != "tv":
        return 0.0
    d = differences(posterior.prior.space, "tv")
    steepest = float(np.sqrt(np.max(np.bincount(d.group, (d.matrix @ e) ** 2), initial=0.0)))
    return config.edge * (steepest or 1.0)


def at_bounds(config: GaussNewtonConfig, p: Array, gradient: Array) -> NDArray[np.bool_]:
    """Entries at a bound that the objective pushes against."""
    held = np.zeros(len(p), dtype=bool)
    if config.positivity != "bounds":
        return held
    if config.lower is not None:
        held |= (p <= config.lower) & (gradient > 0)
    if config.upper is not None:
        held |= (p >= config.upper) & (gradient < 0)
    return held
