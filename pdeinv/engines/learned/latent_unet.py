"""An image by a U-Net between latent images of data and body, trained on simulated pairs."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["LatentUnet"]


class LatentUnet(LearnedInverse):
    """An image by a U-Net between latent images of data and body."""

    name = "latent-unet"
