"""Fourier neural operator: four layers that multiply the lowest frequencies by learned matrices.

Reference: Li et al. (2021), Fourier neural operator for parametric partial differential equations.
"""

from __future__ import annotations

from typing import ClassVar

from pdeinv.config import Config

from .grid_operator import GridOperator, OperatorConfig
from .network import Kind

__all__ = ["Fno", "FnoConfig"]


class FnoConfig(OperatorConfig):
    """Options of ``fno``."""


class Fno(GridOperator):
    """The operator of :mod:`~pdeinv.surrogates.operators.grid_operator` with
    plain Fourier layers.
    """

    name: ClassVar[str] = "fno"
    learns_fields: ClassVar[bool] = True
    Config: ClassVar[type[Config]] = FnoConfig
    kind: ClassVar[Kind] = "fno"
