"""A body that answers a tile of conductivities, and what its answers hold.

A tile ends in (width,), or in (2, width) where the conductivity is complex; see
:mod:`pdeinv.kernels.tiles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pdeinv.fem.energy_tiles import EnergyTiles
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.factor import Storage
from pdeinv.kernels.spare import Spare
from pdeinv.kernels.tiles import Part, empty
from pdeinv.typing import Array

__all__ = ["BodyTiles", "Contact", "Solver", "TileResponse", "turned"]


@dataclass(frozen=True)
class Contact:
    """Potentials across the electrodes.

    Attributes:
        z: impedances, shape (electrodes, width).
        jumps: w − δ at the electrodes' degrees of freedom, one electrode after the other.
        pressed: ∫ of their products over each electrode, times the jumps.
    """

    z: Array
    jumps: Array
    pressed: Array


@dataclass(frozen=True)
class TileResponse:
    """X of every lane; NaN where there is none.

    Attributes:
        value: X, symmetric, shape (r, r, ...).
        fields: W, the potentials that were solved for, shape (n, r, ...).
        contact: of electrodes.
    """

    value: Array
    fields: Array
    contact: Contact | None = None


class BodyTiles(Protocol):
    """A discretised body that gives the responses of a tile."""

    energy: EnergyTiles
    solver: Solver

    def respond(self, gamma: Array, z: Array) -> TileResponse:
        """X for γ (points, ...) and impedances z (electrodes, width)."""

    def tangent(self, at: TileResponse, dgamma: Array, dz: Array | None) -> Array:
        """dX."""

    def gradient(self, at: TileResponse, c: Array) -> Array:
        """d/dγ of Σ_ab c_ab X_ab, shape (points, ...)."""

    def contact_gradient(self, at: TileResponse, c: Array) -> Array:
        """The real part of d/dz of the same, shape (electrodes, width)."""


class Solver:
    """Solves for the fields of one tile after the other in memory that is used again.

    A response does not need its factor, but its fields.

    Args:
        cholesky: of the matrix.
        n: degrees of freedom of a field.
        sides: number of fields.
    """

    def __init__(self, cholesky: Cholesky, n: int, sides: int) -> None:
        self._cholesky, self._shape = cholesky, (n, sides)
        self._storage = dict[int, Storage]()
        self._spare = Spare[Array]()

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        parts: Iterator[Part] = self._cholesky.parts(rows)
        return parts

    def bytes(self, width: int) -> int:
        """What the fields of a tile take."""
        return 8 * int(np.prod(self._shape)) * width * (1 + self._cholesky.complex)

    def solve(self, entries: Array, b: Array, out: Array | None = None) -> Array:
        """A^(-1) b, NaN where a matrix has no factor."""
        width = b.shape[-1]
        if width not in self._storage:
            self._storage[width] = self._cholesky.storage(width)
        return self._cholesky.factor_and_solve(entries, b, self._storage[width], out)[1]

    def fields(self, tail: tuple[int, ...]) -> Array:
        """Memory for the fields of a tile that ends in ``tail``."""
        return self._spare.take(tail[-1], lambda: empty(*self._shape, *tail))

    def keep(self, response: TileResponse) -> TileResponse:
        """Take the fields back when the response goes."""
        self._spare.lend(response.fields.shape[-1], response.fields, response)
        return response


def turned(x: Array) -> Array:
    """Xᵀ of a tile of matrices."""
    return np.ascontiguousarray(x.swapaxes(0, 1))
