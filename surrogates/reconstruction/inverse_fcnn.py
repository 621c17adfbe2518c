"""Convolutions alone, from the data's array down to one node and up again to the image.

The encoder narrows the array to one node of many channels and the decoder widens that to the image;
no layer is dense but the first of the decoder, a transposed convolution from the one node. It is
the fully convolutional network that neural inverse operators (:mod:`.nio`) are compared with.

Unlike there the network sees the level of the noise, and groups are normalised instead of batches,
where a layer has more nodes than one.

Reference: Molinaro, Yang, Engquist and Mishra (2023), Neural inverse operators for solving PDE
inverse problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pdeinv.config import Width

from ..common.torch_env import torch
from .array_reader import (
    SHORT,
    ArrayReader,
    ArrayReaderConfig,
    Size,
    coarse,
    narrowed,
    strides,
    widened,
)

__all__ = ["InverseFcnn", "InverseFcnnConfig"]

WIDEST = 8
"""Channels of the one node, as a multiple of ``width``."""


class InverseFcnnConfig(ArrayReaderConfig):
    """Options of ``inverse-fcnn``."""

    width: Width = Field(16, description="channels of the widest arrays; narrow ones have more")


def _encoder(size: Size) -> Any:
    """From (batch, experiments + 1, rows, columns) to (batch, WIDEST · width, 1, 1)."""
    layers, (before, rows, columns) = narrowed(size, SHORT)
    after = WIDEST * size.config.width
    for step in strides(rows, columns, 1):
        layers += [torch.nn.Conv2d(before, after, 3, step, 1), torch.nn.LeakyReLU(0.2)]
        before = after
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(before, after, 1))


def _decoder(size: Size) -> Any:
    """From one node to (batch, 1, at least y, at least x)."""
    first, times = coarse(size.shape, SHORT)
    begin = torch.nn.ConvTranspose2d(WIDEST * size.config.width, size.channels(times), first)
    return torch.nn.Sequential(begin, *widened(size, times))


@dataclass(frozen=True)
class InverseFcnn(ArrayReader):
    """Convolutions from the data's array to one node, and from there to the image."""

    name = "inverse-fcnn"
    Config = InverseFcnnConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Encoder and decoder."""
        return {"encoder": _encoder(size), "decoder": _decoder(size)}
