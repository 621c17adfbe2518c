"""The training's mean or median image, whatever the data: the least that others must beat."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["AverageImage"]


class AverageImage(LearnedInverse):
    """The training's mean or median image, whatever the data: the least that others must beat."""

    name = "average-image"
