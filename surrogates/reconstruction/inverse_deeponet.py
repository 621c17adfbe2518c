"""The data's array to coefficients of trunk functions of place, a DeepONet.

The branch is the encoder of ``inversion-net``: all experiments are read together, in the order that
they were trained in. An image is Σ_k b_k(data) t_k(x) / √p, p being ``basis``: the first half of a
neural inverse operator (:mod:`.nio`), without its mean over experiments and without the Fourier
operator behind it, which is what the publication compares that with.

Unlike there the branch sees the level of the noise and has groups normalised instead of batches,
and images are departures from the training's mean.

Reference: Lu, Jin, Pang, Zhang and Karniadakis (2021), Learning nonlinear operators via DeepONet;
as an inverse in Molinaro, Yang, Engquist and Mishra (2023), Neural inverse operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pdeinv.config import Width

from ..common.torch_env import built
from .array_reader import ArrayReader, ArrayReaderConfig, Size, encoder
from .networks import lattice, layered

__all__ = ["InverseDeepOnet", "InverseDeepOnetConfig"]


class InverseDeepOnetConfig(ArrayReaderConfig):
    """Options of ``inverse-deeponet``."""

    width: Width = Field(16, description="channels of the widest arrays; narrow ones have more")
    basis: Width = Field(100, description="trunk functions")
    widths: tuple[Width, ...] = Field((96, 96), min_length=1, description="layers of the trunk")


def _trunk(size: Size) -> Any:
    """From coefficients (batch, basis) to (batch, 1, y, x)."""
    config = size.config

    def forward(module: Any, coefficients: Any) -> Any:
        functions = module.inner(module.places.to(coefficients.dtype))
        image = coefficients @ functions.T / config.basis**0.5
        return image.reshape(len(image), 1, *size.shape)

    inner = layered((2, *config.widths, config.basis))
    return built(forward, {"inner": inner}, {"places": lattice(size.shape)})


@dataclass(frozen=True)
class InverseDeepOnet(ArrayReader):
    """Coefficients of trunk functions of place, read off the data's array."""

    name = "inverse-deeponet"
    Config = InverseDeepOnetConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Branch and trunk."""
        return {"branch": encoder(size, size.config.basis), "trunk": _trunk(size)}
