"""U-shaped neural operator: Fourier layers on a finer and a coarser grid, with skips across.

Reference: Rahman, Ross and Azizzadenesheli (2023), U-NO: U-shaped neural operators.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pdeinv.config import Config

from .grid_operator import GridOperator, OperatorConfig
from .network import Kind

__all__ = ["Uno", "UnoConfig"]


class UnoConfig(OperatorConfig):
    """Options of ``uno``."""

    layers: int = Field(5, ge=4, description="Fourier layers; all but three on half the nodes")


class Uno(GridOperator):
    """The operator of :mod:`~pdeinv.surrogates.operators.grid_operator` with
    layers on two resolutions.
    """

    name: ClassVar[str] = "uno"
    Config: ClassVar[type[Config]] = UnoConfig
    kind: ClassVar[Kind] = "uno"
