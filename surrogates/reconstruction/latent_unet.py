"""Data to an image of their own, which a U-Net translates to a coarse image of the body.

An encoder narrows the array of the data, as that of ``inversion-net``, but to an image instead of a
vector, with as many nodes as the body's image after some halvings. A U-Net translates between the
two spaces, and a decoder refines what it gives. So places may keep their places from data to body,
where a latent vector would have to learn them.

Unlike the published network it is trained from data to images alone, not back, sees the level of
the noise and normalises groups.

Reference: Gupta et al. (2025), A unified framework for forward and inverse problems in subsurface
imaging using latent space translations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.config import Width

from ..common.torch_env import built, torch
from .array_reader import ArrayReader, ArrayReaderConfig, Size, bent, coarse, narrowed
from .unet import UnetSize, unet

__all__ = ["LatentUnet", "LatentUnetConfig", "array_encoder", "image_decoder", "resampled"]


class LatentUnetConfig(ArrayReaderConfig):
    """Options of ``latent-unet``."""

    width: Width = Field(16, description="channels of the widest arrays and of the latent images")
    latent: int = Field(
        20, ge=2, le=1024, description="nodes of a latent image along its longer axis, at most"
    )
    depth: int = Field(2, ge=1, le=5, description="how often the U-Net halves the latent image")


def resampled(images: Any, at: tuple[int, int]) -> Any:
    """Images at so many nodes along y and x."""
    return torch.nn.functional.interpolate(images, size=at, mode="bilinear", align_corners=False)


def array_encoder(size: Size, at: tuple[int, int], channels: int) -> Any:
    """From (batch, experiments + 1, rows, columns) to latent images (batch, channels, y, x)."""
    layers, (before, _, _) = narrowed(size, max(at))
    inner = torch.nn.Sequential(*layers, torch.nn.Conv2d(before, channels, 3, 1, 1))

    def forward(module: Any, x: Any) -> Any:
        return resampled(module.inner(x), at)

    return built(forward, {"inner": inner})


def image_decoder(width: int, times: int) -> Any:
    """From latent images to (batch, 1, at least y, at least x)."""
    layers: list[Any] = []
    for _ in range(times):
        layers += bent(torch.nn.ConvTranspose2d(width, width, 4, 2, 1), width)
        layers += bent(torch.nn.Conv2d(width, width, 3, 1, 1), width)
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(width, 1, 3, 1, 1))


@dataclass(frozen=True)
class LatentUnet(ArrayReader):
    """The data's array to a latent image, translated by a U-Net and decoded to the image."""

    name = "latent-unet"
    Config = LatentUnetConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Encoder, translation and decoder."""
        config = size.config
        at, times = coarse(size.shape, config.latent)
        between = UnetSize(config.width, config.width, config.depth, None, 1, config.width)
        return {
            "encoder": array_encoder(size, at, config.width),
            "translation": unet(between, np.ones(at)),
            "decoder": image_decoder(config.width, times),
        }
