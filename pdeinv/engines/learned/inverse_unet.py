"""A plain U-Net on data that harmonic functions extend into the body."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["InverseUnet"]


class InverseUnet(LearnedInverse):
    """A plain U-Net on data that harmonic functions extend into the body."""

    name = "inverse-unet"
