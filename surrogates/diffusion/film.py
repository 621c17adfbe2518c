"""How a network is told the level of the noise: scales and shifts of channels.

Reference: Perez et al. (2018), FiLM.
"""

from __future__ import annotations

from typing import Any

from ..common.torch_env import torch

__all__ = ["LEAST", "film", "moved", "teller", "zeroed"]

LEAST = 4
"""Channels of a normalised group, where a layer has as many."""


def teller(numbers: int, channels: int) -> Any:
    """From numbers of a level to channels, which blocks read."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(numbers, channels), nn.SiLU(), nn.Linear(channels, channels))


def film(told: int, channels: int) -> Any:
    """From ``told`` channels of the level to a scale and a shift of each channel."""
    return torch.nn.Linear(told, 2 * channels)


def moved(images: Any, said: Any) -> Any:
    """Images (batch, channels, y, x), scaled by 1 + what :func:`film` says, and shifted."""
    scale, shift = said[:, :, None, None].chunk(2, dim=1)
    return images * (1 + scale) + shift


def zeroed(layer: Any) -> Any:
    """A layer that gives zero before it is trained."""
    with torch.no_grad():
        for weights in layer.parameters():
            weights.zero_()
    return layer
