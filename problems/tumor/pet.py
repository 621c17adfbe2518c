"""FET-PET: uptake that grows with the concentration, by an unknown background and gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pdeinv.config import Config, Finite, Positive, PositiveRange, Range
from pdeinv.typing import Array

__all__ = ["LEVELS", "PET", "PetConfig", "Uptake"]

PET = 3
"""The number that the data of PET have among regions."""

LEVELS = {
    "background": "uptake of tissue without cells",
    "gain": "uptake that cells add where c = 1",
}
"""What is unknown of the uptake, in the order of their rows, and how files call it."""


class PetConfig(Config):
    """The table ``[problem.pet]``: uptake is background + gain · c, with additive noise."""

    background: Finite | Range = Field(
        (0.0, 0.6),
        description="uptake of tissue without cells: a number where it is known, or the least and "
        "the largest it can be, uniform between them",
    )
    gain: Positive | PositiveRange = Field(
        (0.4, 2.0), description="uptake that cells add where c = 1, likewise"
    )
    noise: Positive = Field(0.1, description="standard deviation of the uptake's noise")
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="effective share of independent voxels: neighbours repeat each other",
    )

    @property
    def levels(self) -> dict[str, float | tuple[float, float]]:
        """Background and gain by name, known or unknown."""
        return {"background": self.background, "gain": self.gain}


@dataclass(frozen=True)
class Uptake:
    """y = b + g c in those data that are of PET, for tiles of c (n_d, width).

    Attributes:
        rows: which they are, shape (n_d,).
    """

    rows: NDArray[np.bool_]

    def data(self, others: Array, c: Array, levels: Array) -> Array:
        """The data, where others are of another kind.

        Args:
            others: their values, (n_d, width).
            c: concentrations, likewise.
            levels: b and g, (2, width).
        """
        b, g = levels
        return np.where(self.rows[:, None], b + g * c, others)

    def tangent(self, others: Array, at: tuple[Array, Array], change: tuple[Array, Array]) -> Array:
        """Their change, at c and (b, g), with the changes of both."""
        (c, (_, g)), (dc, (db, dg)) = at, change
        return np.where(self.rows[:, None], db + dg * c + g * dc, others)

    def adjoint(self, w: Array, c: Array, levels: Array) -> tuple[Array, Array]:
        """The transpose: w on the data to that on c and on (b, g)."""
        own = np.where(self.rows[:, None], w, 0.0)
        return levels[1] * own, np.stack([np.add.reduce(v, axis=0) for v in (own, own * c)])
