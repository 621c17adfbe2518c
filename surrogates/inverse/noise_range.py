"""How much noise one training serves, as an option."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

__all__ = ["NoiseRange"]


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    """The range, if it is one."""
    low, high = ends
    if not 0 < low <= high < np.inf:
        raise ValueError(f"must be two rising positive numbers, got {low}, {high}")
    return ends


NoiseRange = Annotated[
    tuple[float, float],
    AfterValidator(_rising),
    Field(
        description="multiples of σ of additive noise that one training serves, least and largest"
    ),
]
