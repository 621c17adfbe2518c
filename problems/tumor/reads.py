"""Data as linear functions of the states of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import points_of
from pdeinv.typing import Array

from .clock import Clock
from .lattice import Lattice

__all__ = ["Reads"]


@dataclass(frozen=True)
class Reads:
    """d = Σ_n R_n c^n, linear in time between two levels.

    Attributes:
        size: the number of data.
        matrices: R_n by level, CSR of shape (n_d, n), where it is not zero.
    """

    size: int
    matrices: dict[int, Any]

    @classmethod
    def of(cls, lattice: Lattice, clock: Clock, sensors: Sensors, voxel: float) -> Reads:
        """At places and times; averages over voxels of that edge unless it is zero."""
        places = points_of(sensors, "xyz"[: lattice.dim])
        low, high, part = clock.read(np.asarray(sensors["t"], dtype=np.float64))
        where = lattice.averages(places, voxel) if voxel > 0 else lattice.values_at(places)
        found = {}
        for n in np.unique(np.concatenate([low, high])):
            weight = np.where(low == n, 1 - part, 0.0) + np.where(high == n, part, 0.0)
            scale: Any = sparse.diags_array(weight)
            matrix = sparse.csr_array(scale @ where)
            matrix.eliminate_zeros()
            found[int(n)] = matrix
        return cls(len(places), found)

    @property
    def last(self) -> int:
        """The last level that is read."""
        return max(self.matrices)

    def data(self, states: Iterable[tuple[int, Array]]) -> Array:
        """The data of a run, levels with their states (n, width)."""
        found: Any = 0.0
        for n, c in states:
            if n in self.matrices:
                found = found + self.matrices[n] @ c
        return np.asarray(found)

    def source(self, n: int, w: Array) -> Array | float:
        """R_nᵀ w."""
        return np.asarray(self.matrices[n].T @ w) if n in self.matrices else 0.0
