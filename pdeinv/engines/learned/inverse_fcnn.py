"""An image by convolutions alone, from the data's array to one node and up again."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["InverseFcnn"]


class InverseFcnn(LearnedInverse):
    """An image by convolutions alone, from the data's array to one node and up again."""

    name = "inverse-fcnn"
