"""A convolutional encoder of the data to a latent vector, and a convolutional decoder to the image.

Data are an array of experiments, places and times: experiments are channels. The encoder halves the
longer axis until both are short, so that long records are narrowed in time first. The latent vector
is all that the decoder sees of the data.

Unlike the published network it sees the level of the noise, has groups normalised instead of
batches, so that an image does not depend on those beside it, and no bound on its last layer.

Reference: Wu and Lin (2019), InversionNet: an efficient and accurate data-driven full waveform
inversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pdeinv.config import Width

from ..common.torch_env import torch
from .array_reader import ArrayReader, ArrayReaderConfig, Size, bent, narrowed, strides

__all__ = ["InversionNet", "InversionNetConfig"]

SHORT = 5
"""Nodes of an axis that are not halved further."""


class InversionNetConfig(ArrayReaderConfig):
    """Options of ``inversion-net``."""

    width: Width = Field(16, description="channels of the widest arrays; narrow ones have more")
    latent: Width = Field(128, description="numbers between encoder and decoder")


def _encoder(size: Size) -> Any:
    """From (batch, experiments + 1, rows, columns) to (batch, latent)."""
    layers, (channels, rows, columns) = narrowed(size, SHORT)
    last = torch.nn.Linear(channels * rows * columns, size.config.latent)
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), last)


def _decoder(size: Size) -> Any:
    """From (batch, latent) to (batch, 1, at least y, at least x)."""
    times = len(strides(*size.shape, SHORT))
    first = tuple(-(-n // 2**times) for n in size.shape)
    before = size.channels(times)
    layers = [torch.nn.Linear(size.config.latent, before * first[0] * first[1])]
    layers += [torch.nn.Unflatten(1, (before, *first))]
    for k in reversed(range(times)):
        after = size.channels(k)
        layers += bent(torch.nn.ConvTranspose2d(before, after, 4, 2, 1), after)
        layers += bent(torch.nn.Conv2d(after, after, 3, 1, 1), after)
        before = after
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(before, 1, 3, 1, 1))


@dataclass(frozen=True)
class InversionNet(ArrayReader):
    """The data's array through a convolutional encoder and decoder, by way of a latent vector."""

    name = "inversion-net"
    Config = InversionNetConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Encoder and decoder."""
        return {"encoder": _encoder(size), "decoder": _decoder(size)}
