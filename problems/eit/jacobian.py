"""The dense Jacobian from the fields of the response: one product of slopes for every datum.

−∫ ∇u^I·∇u^M dγ for conductivity and ∫_e (u^I − U^I)(u^M − U^M)/z² dz for impedances, with u^I the
potential of the injection and u^M that of the measurement pattern as a current.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.energy import Energy
from pdeinv.kernels.build import available
from pdeinv.kernels.sparse import Sparse
from pdeinv.model.coefficient import Coefficient, jacobian
from pdeinv.model.observed import Picked
from pdeinv.typing import Array

from .bodies.response import Response
from .frames.protocol import Sheet

__all__ = ["parts_of", "pulled", "sensitivities"]

Numbers = Any
Ints = NDArray[np.int64]


def sensitivities(
    energy: Energy, at: Response, sheet: Sheet, picked: Picked
) -> Iterator[tuple[Ints, Ints, Numbers]]:
    """What γ at each point of the quadrature does to the data, injection by injection.

    Yields:
        The data of one injection, their rows in the table, and the table (k, points), which the
        next one overwrites.
    """
    measured = _slopes(energy, at.fields @ sheet.measures.T)
    driven = _slopes(energy, at.fields @ sheet.drives.T)
    weights = at.sign * energy.rule.weights
    table, room = np.empty_like(measured[0]), np.empty_like(measured[0])
    for i in np.unique(picked.row):
        data = np.flatnonzero(picked.row == i)
        columns, which = np.unique(picked.column[data], return_inverse=True)
        block, other = table[: len(columns)], room[: len(columns)]
        block[:] = 0.0
        for m, d in zip(measured, driven, strict=True):
            # numpy copies before it writes unless bad indices are clipped; there are none
            np.take(m, columns, axis=0, out=other, mode="clip")
            other *= weights * d[i]
            block += other
        yield data, which, block


def _slopes(energy: Energy, u: Numbers) -> list[Numbers]:
    """∇u along each axis, shape (columns of u, points), contiguous."""
    return [np.ascontiguousarray(g.T) for g in energy.slopes(u)]


def pulled(coefficient: Coefficient, m: Array) -> Callable[[Numbers], Numbers]:
    """Rows of numbers at the points (k, points) to rows (k, n_m), by the derivative at m."""
    matrix = jacobian(coefficient, m)
    if not sparse.issparse(matrix):
        return lambda rows: rows @ matrix
    if available():
        return Sparse(matrix.T).rows
    back = matrix.T.tocsr()
    return lambda rows: (back @ rows.T).T


def parts_of(table: Numbers, which: Ints, imaginary: NDArray[np.bool_]) -> Array:
    """Rows of real or imaginary parts."""
    chosen = table[which]
    if not imaginary.any():
        return np.asarray(chosen.real)
    return np.asarray(np.where(imaginary[:, None], chosen.imag, chosen.real))
