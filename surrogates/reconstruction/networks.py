"""What networks that give whole images share: how many go through at once, and their loss."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..common.torch_env import torch

__all__ = ["BLOCK", "absolute_error", "lattice", "layered"]

BLOCK = 128
"""Images that go through a network at once."""


def absolute_error(predicted: Any, target: Any) -> Any:
    """The mean over a batch of the mean |difference| of an image."""
    return (predicted - target).abs().sum(dim=1).mean() / predicted.shape[1]


def layered(widths: tuple[int, ...]) -> Any:
    """Linear layers from ``widths[0]`` numbers to ``widths[-1]``, bent in between."""
    layers: list[Any] = []
    for a, b in pairwise(widths):
        layers += [torch.nn.Linear(a, b), torch.nn.LeakyReLU(0.2)]
    return torch.nn.Sequential(*layers[:-1])


def lattice(shape: tuple[int, int]) -> Any:
    """Nodes of an image in [-1, 1], row by row, shape (p, 2)."""
    axes = [torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 2)
