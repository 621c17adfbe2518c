"""Quadratic elements on an interval with several fields: where each number stands."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

__all__ = ["Grid"]

Ints = NDArray[np.int64]


class Grid:
    """Nodes along x, with the fields of a node side by side.

    A number of the field f at node i stands at i F + f; node 2k + 1 is the middle of cell k. Tests
    of a mass balance, two in each cell, stand in the rows of its last two nodes.

    Args:
        places: ends of cells, increasing, (cells + 1,).
        fields: F.
        balance: whether the last field has a mass balance, of first order.
    """

    def __init__(self, places: Array, fields: int, balance: bool) -> None:
        self.places, self.fields, self._balance = places, fields, balance
        middles = 0.5 * (places[1:] + places[:-1])
        self.x = np.sort(np.concatenate([places, middles]))

    @property
    def nodes(self) -> int:
        """Their number."""
        return len(self.x)

    @property
    def size(self) -> int:
        """The number of all values."""
        return self.nodes * self.fields

    @property
    def bands(self) -> int:
        """Bands of matrices on each side of the diagonal."""
        return 3 * self.fields - 1

    @cached_property
    def corners(self) -> Array:
        """Of the cells, as points of space (cells, 2, 3)."""
        found = np.zeros((len(self.places) - 1, 2, 3))
        found[:, 0, 0], found[:, 1, 0] = self.places[:-1], self.places[1:]
        return found

    @cached_property
    def cells(self) -> Ints:
        """Nodes of each cell: the ends, then the middle, (cells, 3)."""
        return np.asarray(2 * np.arange(len(self.places) - 1)[:, None] + np.array([0, 2, 1]))

    @cached_property
    def columns(self) -> Ints:
        """Where the values of each cell stand, field by field, (cells, 3 F)."""
        found = self.cells[:, None, :] * self.fields + np.arange(self.fields)[:, None]
        return found.reshape(len(self.cells), -1)

    @cached_property
    def rows(self) -> Ints:
        """Where the tests of each cell stand."""
        if not self._balance:
            return self.columns
        balance = self.cells[:, [2, 1]] * self.fields + self.fields - 1
        return np.concatenate([self.columns[:, :-3], balance], axis=1)

    @cached_property
    def _places_in_bands(self) -> Ints:
        i, j = self.rows[:, :, None], self.columns[:, None, :]
        return ((self.bands + i - j) * self.size + j).ravel()

    def banded(self, local: Array) -> Array:
        """Matrices of cells (cells, rows, 3 F) as bands: A_ij in row ``bands`` + i − j."""
        shape = 2 * self.bands + 1, self.size
        where = self._places_in_bands
        return np.bincount(where, local.ravel(), shape[0] * shape[1]).reshape(shape)

    def load(self, local: Array) -> Array:
        """Sums of what cells give to each row: (cells, rows) to (size,)."""
        return np.bincount(self.rows.ravel(), local.ravel(), self.size)

    def row(self, bands: Array, i: int) -> Array:
        """A row of a banded matrix, (size,)."""
        found, (low, high) = np.zeros(self.size), self._reach(i)
        columns = np.arange(low, high)
        found[columns] = bands[self.bands + i - columns, columns]
        return found

    def set_identity(self, bands: Array, i: int) -> None:
        """Make a row that of the identity."""
        columns = np.arange(*self._reach(i))
        bands[self.bands + i - columns, columns] = 0.0
        bands[self.bands, i] = 1.0

    def _reach(self, i: int) -> tuple[int, int]:
        return max(0, i - self.bands), min(self.size, i + self.bands + 1)

    @cached_property
    def weights(self) -> Array:
        """∫ of the basis function of each node, (nodes,)."""
        local = np.diff(self.places)[:, None] * np.array([1, 1, 4]) / 6
        return np.bincount(self.cells.ravel(), local.ravel(), self.nodes)

    def interpolated(self, values: Array, x: Array) -> Array:
        """Values (nodes, F) of the quadratic functions at other places, (len(x), F)."""
        nodes, weights = self.evaluation(x)
        return np.asarray(np.einsum("ka,kaf->kf", weights, values[nodes]))

    def slopes(self, values: Array, x: Array) -> Array:
        """Their derivatives there; those of the cell to the right at the ends of cells."""
        cell, t = self._within(x)
        basis = np.stack([4 * t - 3, 4 * t - 1, 4 - 8 * t], axis=1)
        found = np.einsum("ka,kaf->kf", basis, values[self.cells[cell]])
        return np.asarray(found / np.diff(self.places)[cell][:, None])

    def evaluation(self, x: Array) -> tuple[Ints, Array]:
        """Nodes (k, 3) and weights (k, 3) of the values at places inside."""
        cell, t = self._within(x)
        basis = np.stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)], axis=1)
        return self.cells[cell], basis

    def _within(self, x: Array) -> tuple[Ints, Array]:
        """The cell of each place, and where in it, from 0 to 1."""
        cell = np.clip(np.searchsorted(self.places, x, "right") - 1, 0, len(self.places) - 2)
        return cell, (x - self.places[cell]) / np.diff(self.places)[cell]
