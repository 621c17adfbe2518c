"""The linearized flame of one field: a banded matrix with one more row and column."""

from __future__ import annotations

import numpy as np

from pdeinv.typing import Array

from .bordered_bands import BorderedBands

__all__ = ["Bordered"]


class Bordered:
    """The factor of a banded matrix with a border of one row and column.

    Args:
        bands: of A (5, n), as LAPACK has them.
        column: b.
        row: c.
        corner: d.

    Raises:
        SolverDiverged: it is singular, or not finite.
    """

    def __init__(self, bands: Array, column: Array, row: Array, corner: float) -> None:
        self._whole = BorderedBands(bands, column[:, None], row[None], np.array([[corner]]))

    def solve(self, f: Array, g: float) -> tuple[Array, float]:
        """x and y with A x + b y = f and c·x + d y = g."""
        x, y = self._whole.solve(f, np.array([g]))
        return x, float(y[0])

    def solve_transposed(self, f: Array, g: float) -> tuple[Array, float]:
        """Those of the transposed matrix."""
        x, y = self._whole.solve_transposed(f, np.array([g]))
        return x, float(y[0])
