"""Fourier neural operator: four layers that multiply the lowest frequencies by learned matrices.

Reference: Li et al. (2021), Fourier neural operator for parametric partial differential equations.
"""

from __future__ import annotations

from .grid_operator import GridOperator, OperatorConfig

__all__ = ["Fno", "FnoConfig"]


class FnoConfig(OperatorConfig):
    """Options of ``fno``."""


class Fno(GridOperator):
    """The operator of :mod:`.grid_operator` with plain Fourier layers."""

    name = "fno"
    Config = FnoConfig
