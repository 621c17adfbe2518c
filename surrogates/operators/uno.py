"""U-shaped neural operator: Fourier layers on a finer and a coarser grid, with skips across.

Reference: Rahman, Ross and Azizzadenesheli (2023), U-NO: U-shaped neural operators.
"""

from __future__ import annotations

from pydantic import Field

from .grid_operator import GridOperator, OperatorConfig

__all__ = ["Uno", "UnoConfig"]


class UnoConfig(OperatorConfig):
    """Options of ``uno``."""

    layers: int = Field(
        5, ge=4, le=1000, description="Fourier layers; all but three on half the nodes"
    )


class Uno(GridOperator):
    """The operator of :mod:`.grid_operator` with layers on two resolutions."""

    name = "uno"
    Config = UnoConfig
