"""What an ensemble says of its own mean and spread, by a linear fit of its predictions.

With Γ^(-1/2)(G(xi) - y) ≈ g + B^T (xi - mean) over the members, the posterior would have the
covariance C = (I + B B^T)^(-1), and its mean would lie C (mean + B g) away (one Gauss-Newton step).
An ensemble that has reached it shows a small step and the spread of C. A collapsed ensemble does
not: members that stand close together still tell the slope B, hence how far they should spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["EnsembleFit", "fit_ensemble"]


@dataclass(frozen=True)
class EnsembleFit:
    """How far an ensemble is from the posterior that its own predictions call for.

    Attributes:
        shift: distance of the means in standard deviations of C, shape (dim,).
        spread: standard deviations of the members over those of C, shape (dim,).
        curvature: the variance of whitened predictions that no linear map explains, summed over
            data, for each unknown; 0 for a linear model.
    """

    shift: Array
    spread: Array
    curvature: float


def fit_ensemble(xi: Array, white: Array) -> EnsembleFit | None:
    """The fit; None where there are too few members for one.

    Args:
        xi: members, shape (J, dim).
        white: whitened residuals Γ^(-1/2)(G - y), shape (J, n_d).
    """
    n, dim = xi.shape
    if n < dim + 2:
        return None
    mean, middle = xi.mean(axis=0), white.mean(axis=0)
    u, z = xi - mean, white - middle
    slope, _, rank, _ = np.linalg.lstsq(u, z)
    if rank < dim:
        return EnsembleFit(np.full(dim, np.inf), np.zeros(dim), np.inf)
    covariance = np.linalg.inv(np.eye(dim) + slope @ slope.T)
    std = np.sqrt(np.diag(covariance))
    left = float(np.sum((z - u @ slope) ** 2)) / (n - 1 - dim)
    step = covariance @ (mean + slope @ middle)
    return EnsembleFit(np.abs(step) / std, np.std(xi, axis=0, ddof=1) / std, left / dim)
