"""What a prior's options say of the values that it allows."""

from __future__ import annotations

from typing import Any

from pdeinv.bayes.prior_config import LevelSetConfig, TwoPhaseConfig, UniformConfig

__all__ = ["lowest"]


def lowest(unknown: Any) -> float:
    """The least value that a bounded prior allows; one where it is positive by itself."""
    match unknown:
        case TwoPhaseConfig():
            return min(unknown.low, unknown.high)
        case LevelSetConfig():
            return min(unknown.values)
        case UniformConfig():
            return unknown.low
    return 1.0
