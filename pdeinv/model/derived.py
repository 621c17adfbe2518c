"""Quantities of interest: numbers that follow from an unknown and are no part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["Derived"]


@dataclass(frozen=True)
class Derived:
    """What results report beside the unknown.

    Attributes:
        space: names, units and coordinates of the quantities.
        values: them at one unknown: (n_m,) to (space.size,). Raises SolverDiverged where the solve
            failed.
    """

    space: Space
    values: Callable[[Array], Array]
