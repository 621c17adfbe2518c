"""Group normalisation (Wu and He 2018), which no other sample of a batch has a part in."""

from __future__ import annotations

from typing import Any

from .torch_env import torch

__all__ = ["MOST", "group_norm", "groups"]

MOST = 8
"""Groups of a layer at most."""


def groups(channels: int, least: int = 1) -> int:
    """The most that divide the channels, each of ``least`` channels or more where there are any."""
    least = min(least, channels)
    return max(g for g in range(1, MOST + 1) if channels % g == 0 and channels // g >= least)


def group_norm(channels: int, least: int = 1) -> Any:
    """The layer for so many channels, in groups of ``least`` of them or more."""
    return torch.nn.GroupNorm(groups(channels, least), channels)
