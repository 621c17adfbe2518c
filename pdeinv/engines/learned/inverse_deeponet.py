"""An image in trunk functions of place, whose coefficients a network reads off the data."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["InverseDeepOnet"]


class InverseDeepOnet(LearnedInverse):
    """An image in trunk functions of place, whose coefficients a network reads off the data."""

    name = "inverse-deeponet"
