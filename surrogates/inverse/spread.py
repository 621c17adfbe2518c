"""How far an estimate may be off: several members' word, and a factor that held-out samples set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdeinv.bayes.bands import COVERED, WITHIN
from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

__all__ = ["conformal_factor", "mixed"]


def mixed(members: Sequence[Estimate]) -> Estimate:
    """Mean and standard deviation of the even mixture of the members' Gaussians.

    Its variance is the mean of theirs plus the variance of their means (Lakshminarayanan, Pritzel
    and Blundell 2017).
    """
    means, stds = np.stack([m.mean for m in members]), np.stack([m.std for m in members])
    return Estimate(means.mean(axis=0), np.sqrt(np.mean(stds**2, axis=0) + means.var(axis=0)))


def conformal_factor(found: Estimate, truth: Array) -> Array:
    """What standard deviations are multiplied by, one for each component, shape (dim,).

    The quantile of rank ⌈(n + 1) 0.9⌉ of |error| / std over n held-out samples, over 1.645: bands
    of 90 % then hold a new truth with that probability, whatever the law, as long as it is that of
    the samples (Papadopoulos, Proedrou, Vovk and Gammerman 2002, split conformal prediction).

    Args:
        found: estimates of samples that training has not seen, shape (n, dim).
        truth: their ξ, shape (n, dim).
    """
    score = np.sort(np.abs(found.distance(truth)), axis=0)
    rank = min(len(score), int(np.ceil((len(score) + 1) * COVERED)))
    return np.asarray(np.maximum(score[rank - 1], 1e-6) / WITHIN)
