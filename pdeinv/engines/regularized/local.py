"""The linearized problem at one point of a regularized reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.engines.regularized.penalties import Penalty
from pdeinv.typing import Array

__all__ = ["Local"]


@dataclass(frozen=True)
class Local:
    """Φ, its derivative and the penalty there, with a weight and a step.

    Attributes:
        misfit: Φ.
        pull: its derivative, shape (n,).
        count: how many data count.
        penalty: of the departure.
        e: the departure from the reference, shape (n,).
        weight: λ.
        d: the step, shape (n,).
        least: whether no smaller weight would be taken, though the data are not fitted yet.
    """

    misfit: float
    pull: Array
    count: float
    penalty: Penalty
    e: Array
    weight: float
    d: Array
    least: bool = False

    @property
    def gradient(self) -> Array:
        """Derivative of the objective."""
        return np.asarray(self.pull + self.weight * (self.penalty.matrix(self.e) @ self.e))

    @property
    def slope(self) -> float:
        """Derivative of the objective along the step."""
        return float(self.gradient @ self.d)

    @property
    def promised(self) -> float:
        """How much the linearization promises, relative to the objective."""
        return -self.slope / max(self.objective, 1e-300)

    @property
    def objective(self) -> float:
        """Φ + λ P at the point."""
        return self.misfit + self.weight * self.penalty.value(self.e)
