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
from .array_reader import SHORT, ArrayReader, ArrayReaderConfig, Size, coarse, encoder, widened

__all__ = ["InversionNet", "InversionNetConfig"]


class InversionNetConfig(ArrayReaderConfig):
    """Options of ``inversion-net``."""

    width: Width = Field(16, description="channels of the widest arrays; narrow ones have more")
    latent: Width = Field(128, description="numbers between encoder and decoder")


def _decoder(size: Size) -> Any:
    """From (batch, latent) to (batch, 1, at least y, at least x)."""
    first, times = coarse(size.shape, SHORT)
    before = size.channels(times)
    begin = torch.nn.Linear(size.config.latent, before * first[0] * first[1])
    return torch.nn.Sequential(
        begin, torch.nn.Unflatten(1, (before, *first)), *widened(size, times)
    )


@dataclass(frozen=True)
class InversionNet(ArrayReader):
    """The data's array through a convolutional encoder and decoder, by way of a latent vector."""

    name = "inversion-net"
    Config = InversionNetConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Encoder and decoder."""
        return {"encoder": encoder(size, size.config.latent), "decoder": _decoder(size)}
