"""Square systems of a banded matrix with a few more rows and columns.

    [ A  B ] [x]   [f]
    [ C  D ] [y] = [g]

are solved by elimination of the block A, whose factor also serves the transpose (Keller 1977;
Govaerts 2000, §3.6), with one step of refinement, since A alone may be close to singular.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgbtrf, dgbtrs

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["BorderedBands"]


class BorderedBands:
    """The factor of a banded matrix with a border.

    Args:
        bands: of A (2 b + 1, n) with b bands on each side, as LAPACK has them.
        columns: B (n, k).
        rows: C (k, n).
        corner: D (k, k).

    Raises:
        SolverDiverged: it is singular, or not finite.
    """

    def __init__(self, bands: Array, columns: Array, rows: Array, corner: Array) -> None:
        self._bands, self._columns, self._rows, self._corner = bands, columns, rows, corner
        if not all(np.isfinite(a).all() for a in (bands, columns, rows, corner)):
            raise SolverDiverged("the linearized flame is not finite; the parameters are extreme")
        self._wide = (len(bands) - 1) // 2
        room = np.zeros((3 * self._wide + 1, bands.shape[1]))
        room[self._wide :] = bands
        self._factor, self._pivots, info = dgbtrf(room, self._wide, self._wide, overwrite_ab=1)
        if info != 0:
            raise SolverDiverged("the linearized flame is singular")
        self._right, self._left = self._inner(columns, 0), self._inner(rows.T, 1)
        self._schur = corner - rows @ self._right
        if not np.isfinite(self._schur).all() or np.linalg.cond(self._schur) > 1e14:
            raise SolverDiverged("the linearized flame is singular")

    def solve(self, f: Array, g: Array) -> tuple[Array, Array]:
        """x (n,) and y (k,)."""
        return self._refined(f, g, 0)

    def solve_transposed(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Those of the transposed matrix."""
        return self._refined(f, g, 1)

    @property
    def sign(self) -> float:
        """That of the determinant."""
        swaps = np.count_nonzero(self._pivots != np.arange(len(self._pivots)))
        diagonal = self._factor[2 * self._wide]
        below = np.count_nonzero(diagonal < 0) + swaps
        return float((-1) ** below * np.sign(np.linalg.det(self._schur)))

    def _inner(self, f: Array, trans: int) -> Array:
        found, _ = dgbtrs(self._factor, self._wide, self._wide, f, self._pivots, trans=trans)
        return np.asarray(found)

    def _refined(self, f: Array, g: Array, trans: int) -> tuple[Array, Array]:
        x, y = self._once(f, g, trans)
        columns, rows = (self._rows.T, self._columns.T) if trans else (self._columns, self._rows)
        corner = self._corner.T if trans else self._corner
        rest = f - _times(self._bands, x, trans) - columns @ y
        dx, dy = self._once(rest, g - rows @ x - corner @ y, trans)
        return x + dx, y + dy

    def _once(self, f: Array, g: Array, trans: int) -> tuple[Array, Array]:
        rows, border = (self._columns.T, self._left) if trans else (self._rows, self._right)
        schur = self._schur.T if trans else self._schur
        inner = self._inner(f, trans)
        y = np.linalg.solve(schur, g - rows @ inner)
        return inner - border @ y, y


def _times(bands: Array, x: Array, trans: int) -> Array:
    """A x or Aᵀ x."""
    n, found, wide = len(x), np.zeros(len(x)), (len(bands) - 1) // 2
    for k in range(-wide, wide + 1):  # entries A[j + k, j] stand in row wide + k
        columns = slice(max(0, -k), n - max(0, k))
        rows = slice(max(0, k), n + min(0, k))
        to, of = (columns, rows) if trans else (rows, columns)
        found[to] += bands[wide + k, columns] * x[of]
    return found
