"""Data with noise that a trained inverse never saw: said before anything is solved."""

from __future__ import annotations

import warnings

from pdeinv.engines.ended import Ended
from pdeinv.model.learned import Estimate

__all__ = ["UntrainedNoise", "noise_remark", "warn_untrained"]


class UntrainedNoise(UserWarning):
    """The noise of the data is far from all that a trained inverse was shown."""


def noise_remark(estimate: Estimate) -> str:
    """What to tell of noise far from that of the training, and what to do; else nothing."""
    if estimate.noise is None or not estimate.noise.far:
        return ""
    return Ended.UNTRAINED.sentence(estimate.noise.words)


def warn_untrained(estimate: Estimate | None) -> None:
    """Warn where the estimate of a run is of such data."""
    remark = "" if estimate is None else noise_remark(estimate)
    if remark:
        warnings.warn(remark, UntrainedNoise, stacklevel=2)
