"""Smooth fields that D and ρ are multiplied by, where these differ from place to place.

D(x) = D_w (white + grey/ratio) exp f(x) and ρ(x) = ρ exp g(x), f and g Gaussian fields with mean
zero on the whole box. Their numbers are factors at the nodes of a grid, linear between these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior_config import LogGaussianConfig
from pdeinv.config import Config, Positive
from pdeinv.fem.field_unknown import FieldUnknown, Labels
from pdeinv.typing import Array

__all__ = ["EVERYWHERE", "FACTORS", "FactorConfig", "Scaled", "fields_of"]

FACTORS = {
    "diffusivity_factor": "factor on the diffusivity from place to place",
    "growth_factor": "factor on the growth rate from place to place",
}
"""The fields in the order of their numbers in m."""


class FactorConfig(Config):
    """A smooth field of factors: a Gaussian field of their logarithms with mean zero."""

    std: Positive = Field(0.3, description="standard deviation of the logarithm")
    length: Positive = Field(40.0, description="correlation length, mm")
    modes: int = Field(12, ge=1, description="numbers that the field has, of the largest variance")
    nodes: int = Field(9, ge=2, le=65, description="nodes along each side of the box")

    def size(self, dim: int) -> int:
        """Factors that are part of the unknown."""
        return int(self.nodes**dim)

    def field(self, name: str, extent: tuple[tuple[float, float], ...]) -> FieldUnknown:
        """The field on a box.

        Raises:
            ConfigError: more modes than nodes.
        """
        prior = LogGaussianConfig(
            std=self.std, length=self.length, modes=self.modes, grid=(self.nodes,) * len(extent)
        )
        return FieldUnknown.of(prior, extent, Labels(name, "1", FACTORS[name], "mm"))


def fields_of(
    configs: Mapping[str, FactorConfig], extent: tuple[tuple[float, float], ...]
) -> dict[str, FieldUnknown]:
    """The unknown fields by name, in the order of m."""
    return {name: config.field(name, extent) for name, config in configs.items()}


@dataclass(frozen=True)
class Scaled:
    """A rate r, or r times factors P q at points, for tiles of r (width,) and q (k, width).

    Attributes:
        matrix: P, (n, k); None where the rate is the same everywhere.
    """

    matrix: Any = field(default=None)

    def of(self, rate: Array, numbers: Array) -> Array:
        """The rate, (width,), or at each point, (n, width)."""
        return rate if self.matrix is None else np.asarray(rate * (self.matrix @ numbers))

    def change(self, rate: Array, numbers: Array, d_rate: Array, d_numbers: Array) -> Array:
        """Its derivative along changes of both."""
        if self.matrix is None:
            return d_rate
        return np.asarray(d_rate * (self.matrix @ numbers) + rate * (self.matrix @ d_numbers))

    def pull(self, rate: Array, numbers: Array, w: Array) -> tuple[Array, Array]:
        """The transpose: w of the shape of the rate to those on r and on q."""
        if self.matrix is None:
            return w, np.zeros_like(numbers)
        on_rate = np.add.reduce((self.matrix @ numbers) * w, axis=0)
        return np.asarray(on_rate), np.asarray(self.matrix.T @ (rate * w))


EVERYWHERE = Scaled()
"""A rate that is the same everywhere."""
