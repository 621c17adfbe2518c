"""Square systems of a banded matrix with one more row and column, for an eigenvalue.

    [ A  b ] [x]   [f]
    [ cᵀ d ] [y] = [g]

are solved by elimination of the block A, whose factor also serves the transpose (Keller 1977;
Govaerts 2000, §3.6), with one step of refinement, since A alone may be close to singular.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgbtrf, dgbtrs

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .elements import BANDS

__all__ = ["Bordered"]


class Bordered:
    """The factor of a bordered banded matrix.

    Args:
        bands: of A (5, n), as LAPACK has them.
        column: b.
        row: c.
        corner: d.

    Raises:
        SolverDiverged: it is singular, or not finite.
    """

    def __init__(self, bands: Array, column: Array, row: Array, corner: float) -> None:
        self._bands, self._column, self._row, self._corner = bands, column, row, corner
        if not (np.isfinite(bands).all() and np.isfinite(column).all()):
            raise SolverDiverged("the linearized flame is not finite; the parameters are extreme")
        room = np.zeros((3 * BANDS + 1, bands.shape[1]))
        room[BANDS:] = bands
        self._factor, self._pivots, info = dgbtrf(room, BANDS, BANDS)
        if info != 0:
            raise SolverDiverged("the linearized flame is singular")
        self._right = self._inner(column, 0)
        self._left = self._inner(row, 1)

    def solve(self, f: Array, g: float) -> tuple[Array, float]:
        """x and y."""
        return self._refined(f, g, 0)

    def solve_transposed(self, f: Array, g: float) -> tuple[Array, float]:
        """Those of the transposed matrix."""
        return self._refined(f, g, 1)

    def _inner(self, f: Array, trans: int) -> Array:
        found, _ = dgbtrs(self._factor, BANDS, BANDS, f, self._pivots, trans=trans)
        return np.asarray(found)

    def _refined(self, f: Array, g: float, trans: int) -> tuple[Array, float]:
        x, y = self._once(f, g, trans)
        column, row = (self._row, self._column) if trans else (self._column, self._row)
        rest = f - _times(self._bands, x, trans) - column * y
        dx, dy = self._once(rest, g - float(row @ x) - self._corner * y, trans)
        return x + dx, y + dy

    def _once(self, f: Array, g: float, trans: int) -> tuple[Array, float]:
        row, border = (self._column, self._left) if trans else (self._row, self._right)
        inner = self._inner(f, trans)
        pivot = self._corner - float(row @ border)
        if pivot == 0.0 or not np.isfinite(pivot):
            raise SolverDiverged("the linearized flame is singular")
        y = (g - float(row @ inner)) / pivot
        return inner - border * y, y


def _times(bands: Array, x: Array, trans: int) -> Array:
    """A x or Aᵀ x."""
    n, found = len(x), np.zeros(len(x))
    for k in range(-BANDS, BANDS + 1):  # entries A[j + k, j] stand in row BANDS + k
        columns = slice(max(0, -k), n - max(0, k))
        rows = slice(max(0, k), n + min(0, k))
        to, of = (columns, rows) if trans else (rows, columns)
        found[to] += bands[BANDS + k, columns] * x[of]
    return found
