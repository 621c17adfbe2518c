"""The Metropolis rule, in the one place where every sampler takes it from."""

from __future__ import annotations

import math

__all__ = ["log_acceptance"]


def log_acceptance(log_ratio: float) -> float:
    """ln min(1, exp(log_ratio)), the log probability of accepting; -inf where the ratio is NaN.

    ``min(0.0, nan)`` is 0 in Python: a proposal of which nothing is known would be accepted for
    certain.

    Args:
        log_ratio: log density at the proposal minus that at the present state, with the proposal's
            own correction.
    """
    return -math.inf if math.isnan(log_ratio) else min(0.0, log_ratio)
