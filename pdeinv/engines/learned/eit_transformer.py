"""A U-Net with integral attention on data that harmonic functions extend into the body."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["EitTransformer"]


class EitTransformer(LearnedInverse):
    """A U-Net with integral attention on data that harmonic functions extend into the body."""

    name = "eit-transformer"
