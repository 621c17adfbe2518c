"""Even and odd functions on a regular grid: the reflections of a box split what commutes with them.

A function is even or odd about the middle of each axis. In an orthonormal basis of the 2^d kinds a
matrix that is unchanged by reflections, such as a stationary covariance between the nodes with
symmetric weights, has one block for each kind, of about 2^(-d) of its size. Functions of a kind are
given by their values in one corner of the grid.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.typing import Array

__all__ = ["Parity", "parities", "representative"]

_EQUAL_SPACING = 1e-12
"""Relative difference below which two spacings count as one."""


@dataclass(frozen=True)
class Parity:
    """The functions on a grid that are even or odd about the middle of each axis.

    Attributes:
        grid: the nodes.
        odd: for each axis of the grid's arrays, (z,) y, x, whether it is odd there.
    """

    grid: RegularGrid
    odd: tuple[bool, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the corner: an odd function vanishes at a node in the middle."""
        return tuple(
            n // 2 if o else -(-n // 2) for n, o in zip(self.grid.shape, self.odd, strict=True)
        )

    @property
    def size(self) -> int:
        """The dimension of the space of these functions."""
        return math.prod(self.shape)

    @property
    def order(self) -> tuple[bool, ...]:
        """What kinds are sorted by: even before odd, along x, then y, then z."""
        return self.odd[::-1]

    def spread(self, v: Array) -> Array:
        """Q v on the whole grid, (size, ...) to (grid.size, ...), Q with orthonormal columns."""
        x = v.reshape(*self.shape, *v.shape[1:])
        for axis, (n, odd) in enumerate(zip(self.grid.shape, self.odd, strict=True)):
            x = _spread(x, axis, n, odd)
        return x.reshape(self.grid.size, *v.shape[1:])

    def gather(self, x: Array) -> Array:
        """Q^T x, (grid.size, ...) to (size, ...)."""
        v = x.reshape(*self.grid.shape, *x.shape[1:])
        for axis, odd in enumerate(self.odd):
            v = _gather(v, axis, odd)
        return v.reshape(self.size, *x.shape[1:])

    def basis(self) -> Any:
        """Q, sparse, (grid.size, size)."""
        found = sparse.csr_array(np.ones((1, 1)))
        for n, half, odd in zip(self.grid.shape, self.shape, self.odd, strict=True):
            found = sparse.kron(found, _spread(np.eye(half), 0, n, odd), format="csr")
        return found

    def block(self, table: Array, half: Array) -> Array:
        """Q^T D C D Q for D = diag(``half``) and C that depends on distances along axes alone.

        Args:
            table: C by the number of steps along each axis, shape of the grid's arrays.
            half: a symmetric function on the grid, shape (grid.size,).
        """
        d, total = len(self.shape), np.zeros((self.size, self.size))
        for mirrored in itertools.product((False, True), repeat=d):
            steps = tuple(
                _along(_steps(n, h, m), axis, d)
                for axis, (n, h, m) in enumerate(
                    zip(self.grid.shape, self.shape, mirrored, strict=True)
                )
            )
            odd = sum(o and m for o, m in zip(self.odd, mirrored, strict=True)) % 2
            total += (-1) ** odd * table[steps].reshape(total.shape)
        at = self._corner(half)
        return np.asarray(at[:, None] * total * at)

    def _corner(self, x: Array) -> Array:
        """The values in the corner, divided by √2 for each axis in whose middle they are."""
        v = x.reshape(self.grid.shape)[tuple(slice(h) for h in self.shape)].copy()
        for axis, (n, odd) in enumerate(zip(self.grid.shape, self.odd, strict=True)):
            if n % 2 and not odd:
                np.moveaxis(v, axis, 0)[-1] *= math.sqrt(0.5)
        return v.ravel()


def parities(grid: RegularGrid) -> list[Parity]:
    """All kinds that have a function, in their order: even before odd along x, then y, then z."""
    kinds = [Parity(grid, odd) for odd in itertools.product((False, True), repeat=len(grid.nodes))]
    return sorted((k for k in kinds if k.size), key=lambda kind: kind.order)


def representative(kind: Parity) -> tuple[Parity, tuple[int, ...]]:
    """A kind that becomes ``kind`` when equal axes are exchanged, and the exchange.

    Axes are equal where their nodes and spacings are, as on a square. A function u of the
    representative, as an array over its corner, is one of ``kind`` after ``np.transpose(u, axes)``,
    and what does not change when such axes are exchanged has the same eigenvalues in both.

    Returns:
        The representative and ``axes``.
    """
    grid, axes = kind.grid, list(range(len(kind.odd)))
    for equal in _equal_axes(grid):
        ordered = sorted(equal, key=lambda axis: kind.odd[axis])
        for place, axis in zip(equal, ordered, strict=True):
            axes[axis] = place
    odd = tuple(kind.odd[axes.index(place)] for place in range(len(axes)))
    return Parity(grid, odd), tuple(axes)


def _equal_axes(grid: RegularGrid) -> list[list[int]]:
    """The axes of the grid's arrays in groups of equal ones."""
    groups: list[list[int]] = []
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        for group in groups:
            first = group[0]
            if n == grid.shape[first] and math.isclose(
                h, grid.spacing[first], rel_tol=_EQUAL_SPACING
            ):
                group.append(axis)
                break
        else:
            groups.append([axis])
    return groups


def _spread(v: Array, axis: int, n: int, odd: bool) -> Array:
    """From the first half of an axis to all of it, isometrically."""
    first = np.moveaxis(v, axis, 0)
    x = np.zeros((n, *first.shape[1:]))
    pairs = n // 2
    x[:pairs] = math.sqrt(0.5) * first[:pairs]
    x[n - pairs :] = -x[:pairs][::-1] if odd else x[:pairs][::-1]
    if n % 2 and not odd:
        x[pairs] = first[pairs]
    return np.moveaxis(x, 0, axis)


def _gather(x: Array, axis: int, odd: bool) -> Array:
    """The transpose of :func:`_spread`."""
    all_of = np.moveaxis(x, axis, 0)
    n, pairs = len(all_of), len(all_of) // 2
    mirrored = all_of[n - pairs :][::-1]
    v = math.sqrt(0.5) * (all_of[:pairs] - mirrored if odd else all_of[:pairs] + mirrored)
    if n % 2 and not odd:
        v = np.concatenate([v, all_of[pairs : pairs + 1]])
    return np.moveaxis(v, 0, axis)


def _steps(n: int, half: int, mirrored: bool) -> Array:
    """How many steps lie between nodes i and j of the first half, or i and the image of j."""
    i = np.arange(half)
    return np.abs(i[:, None] - (n - 1 - i if mirrored else i))


def _along(steps: Array, axis: int, d: int) -> Array:
    """A table for pairs along one axis, shaped to be broadcast over pairs of nodes."""
    shape = [1] * (2 * d)
    shape[axis], shape[d + axis] = steps.shape
    return steps.reshape(shape)
