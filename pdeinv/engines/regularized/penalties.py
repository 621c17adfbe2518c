"""What a regularized reconstruction pays for the departure e = p - reference from its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.differences import Differences, differences
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.typing import Array

__all__ = [
    "Penalty",
    "Quadratic",
    "TotalVariation",
    "penalty_of",
    "smoothness",
    "typical_gradient",
]

FLOOR = 1e-4
"""Share of ∫ e² (over the squared extent) that keeps ∫ |∇e|², blind to constants, definite."""


class Penalty(Protocol):
    """A convex functional of e whose gradient is ``matrix(e) e``."""

    def value(self, e: Array) -> float:
        """The functional at e, shape (n_m,)."""

    def matrix(self, e: Array) -> Any:
        """A symmetric positive definite sparse matrix, shape (n_m, n_m)."""


@dataclass(frozen=True)
class Quadratic:
    """½ eᵀ R e."""

    R: Any

    def value(self, e: Array) -> float:
        """½ eᵀ R e."""
        return 0.5 * float(e @ (self.R @ e))

    def matrix(self, e: Array) -> Any:
        """R, whatever e is."""
        return self.R


def _floor(differences: Differences, reference: Array, scale: float = 1.0) -> Any:
    """FLOOR times the mass, and 1/reference² for entries without neighbours, as a diagonal."""
    size = np.abs(reference)
    alone = 1 / np.where(size > 0, size, 1.0) ** 2
    diagonal = np.where(differences.mass > 0, FLOOR * scale * differences.mass, alone)
    return sparse.diags_array(diagonal)


def smoothness(differences: Differences, reference: Array) -> Quadratic:
    """½ ∫ |∇e|²; entries without neighbours pay ½ (e / reference)²."""
    D = differences.matrix
    laplacian = sparse.csc_array(D.T @ sparse.diags_array(differences.weights) @ D)
    return Quadratic(sparse.csc_array(laplacian + _floor(differences, reference)))


@dataclass(frozen=True)
class TotalVariation:
    """∫ (|∇e|² + β²)^(1/2) - β, whose matrix lags one step behind (Vogel and Oman 1996).

    Attributes:
        differences: the discrete gradient.
        reference: scale of the entries without neighbours, shape (n_m,).
        beta: β, in units of the gradient; jumps steeper than it cost their height.
    """

    differences: Differences
    reference: Array
    beta: float

    def _lengths(self, e: Array) -> tuple[Array, Array]:
        """(|∇e|² + β²)^(1/2) and the weight, by group."""
        d = self.differences
        squares = np.bincount(d.group, (d.matrix @ e) ** 2)
        weights = np.zeros(len(squares))
        weights[d.group] = d.weights
        return np.sqrt(squares + self.beta**2), weights

    def _diagonal(self) -> Any:
        """The floor, a small share of what a flat picture pays."""
        return _floor(self.differences, self.reference, 1 / self.beta)

    def value(self, e: Array) -> float:
        """The functional, the floor included."""
        length, weights = self._lengths(e)
        floor = float(e @ (self._diagonal() @ e))
        return float(weights @ (length - self.beta)) + 0.5 * floor

    def matrix(self, e: Array) -> Any:
        """Dᵀ W diag(1/|∇e|_β) D and the floor."""
        d, (length, _) = self.differences, self._lengths(e)
        lagged = d.matrix.T @ sparse.diags_array(d.weights / length[d.group]) @ d.matrix
        return sparse.csc_array(lagged + self._diagonal())


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
