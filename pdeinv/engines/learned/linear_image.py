"""An image by the Wiener filter or by ridge regression, learned from simulated pairs."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["LinearImage"]


class LinearImage(LearnedInverse):
    """An image by the Wiener filter or by ridge regression, learned from simulated pairs."""

    name = "linear-image"
