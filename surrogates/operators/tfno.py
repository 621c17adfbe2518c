"""Fourier neural operator whose spectral weights are stored as Tucker factors.

The factors hold a share ``rank`` of the parameters, which makes checkpoints smaller and, on few
samples, keeps the network from learning them by heart.

Reference: Kossaifi, Kovachki, Azizzadenesheli and Anandkumar (2023), Multi-grid tensorized Fourier
neural operator for high-resolution PDEs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from pdeinv.config import Config

from .grid_operator import GridOperator, OperatorConfig
from .network import Architecture, Kind

__all__ = ["Tfno", "TfnoConfig"]


class TfnoConfig(OperatorConfig):
    """Options of ``tfno``."""

    rank: float = Field(0.1, gt=0, le=1, description="share of the spectral weights' parameters")


class Tfno(GridOperator):
    """The operator of :mod:`~pdeinv.surrogates.operators.grid_operator` with
    factorised Fourier layers.
    """

    name: ClassVar[str] = "tfno"
    Config: ClassVar[type[Config]] = TfnoConfig
    kind: ClassVar[Kind] = "tfno"

    @classmethod
    def architecture_of(cls, config: OperatorConfig, shape: tuple[int, ...]) -> Architecture:
        """The network's size on a grid of ``shape`` (y, x)."""
        assert isinstance(config, TfnoConfig)
        return replace(super().architecture_of(config, shape), rank=config.rank)
