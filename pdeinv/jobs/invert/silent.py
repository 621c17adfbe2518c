"""What to tell of a band of frequencies in which data hold nothing but noise."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.passband import InBand
from pdeinv.io.observations import Observations

__all__ = ["silent"]

SIGMAS = 4.0
"""By how much Φ of no waves at all exceeds that of noise alone, where the data hold any."""


def silent(observations: Observations) -> tuple[str, ...]:
    """A line where the filtered data are as small as their noise; none of data without a filter."""
    law = observations.likelihood
    if not (isinstance(law, Noise) and isinstance(law.along, InBand)):
        return ()
    mean, spread = law.along.counts
    found = float(np.sum(law.along.whiten(observations.values) ** 2))
    if found > mean + SIGMAS * np.sqrt(2 * spread):
        return ()
    return (
        f"in the band of [misfit] the data hold no more than their noise (misfit of no waves at "
        f"all {found / 2:.4g}, of noise alone {mean / 2:.4g}): nothing can be found there; widen "
        "it (misfit.above, misfit.below)",
    )
