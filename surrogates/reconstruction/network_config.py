"""What networks that say images of data are trained by."""

from __future__ import annotations

from pydantic import Field

from ..training.config import TrainingConfig
from .surrogate import ImageConfig

__all__ = ["NetworkConfig"]


class NetworkConfig(ImageConfig, TrainingConfig):
    """Options that all of them have."""

    epochs: int = Field(60, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(32, ge=1, description="samples of one gradient step, on all devices")
    learning_rate: float = Field(2e-3, gt=0, description="at the start; follows half a cosine to 0")
    patience: int = Field(20, ge=1, description="epochs without improvement before stopping")
