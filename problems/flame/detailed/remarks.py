"""What data say before anything is solved."""

from __future__ import annotations

import numpy as np

from pdeinv.io.observations import Observations

from .config import DetailedConfig
from .quantities import KIND, kinds_of

__all__ = ["remarks"]


def remarks(config: DetailedConfig, observations: Observations) -> tuple[str, ...]:
    """Profiles of a free flame on grids whose error moves rates, in one line."""
    placed = [n for n, kind in enumerate(kinds_of(config)) if "x" in kind.coords]
    profiles = np.isin(observations.coords[KIND], placed).any()
    if config.configuration != "free" or config.extrapolate or not profiles:
        return ()
    return (
        "profiles of a free flame tell rates by small differences, and the error of a grid may "
        "move them by more than noise does; take problem.extrapolate = true",
    )
