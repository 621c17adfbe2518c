"""Fourier neural operator whose spectral weights are stored as Tucker factors.

The factors hold a share ``rank`` of the parameters, which makes checkpoints smaller and, on few
samples, keeps the network from learning them by heart.

Reference: Kossaifi, Kovachki, Azizzadenesheli and Anandkumar (2023), Multi-grid tensorized Fourier
neural operator for high-resolution PDEs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field

from .grid_operator import GridOperator, OperatorConfig
from .network import Architecture

__all__ = ["Tfno", "TfnoConfig"]


class TfnoConfig(OperatorConfig):
    """Options of ``tfno``."""

    rank: float = Field(0.1, gt=0, le=1, description="share of the spectral weights' parameters")


class Tfno(GridOperator):
    """The operator of :mod:`.grid_operator` with factorised Fourier layers."""

    name = "tfno"
    Config = TfnoConfig

    @classmethod
    def architecture_of(cls, config: Any, shape: tuple[int, ...]) -> Architecture:
        """The network's size on a grid of ``shape`` (y, x)."""
        return replace(super().architecture_of(config, shape), rank=config.rank)
