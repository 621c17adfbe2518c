"""What a user may set of the fast model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdeinv.config import Config, Positive

__all__ = ["DifferencesConfig"]


class DifferencesConfig(Config):
    """The table ``[problem.deepwave]``: finite differences by the package deepwave."""

    spacing: Positive | None = Field(
        None,
        description="between two nodes of level 0, along x and y, m; that of the spectral elements "
        "on average where not given; halved per level",
    )
    accuracy: Literal[2, 4, 6, 8] = Field(8, description="order of the differences in space")
    layer: int = Field(
        20, ge=1, le=1000, description="nodes across the perfectly matched layer on each side"
    )
    courant: float = Field(
        0.6,
        gt=0,
        le=0.7,
        description="most of v dt √2/h for the fastest velocity; differences are stable below 0.78",
    )
    precision: Literal["float64", "float32"] = Field(
        "float64", description="of waves; float32 is faster, and its derivatives agree to 1e-5"
    )
