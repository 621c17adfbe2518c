"""The equation of :class:`pdeinv.fem.complex_system.WaveSystem` for a tile of contrasts at a time.

What lies around the contrast is eliminated once, so that a solve has the unknowns alone that the
contrast touches. Waves are parts: (n, waves, 2, width), values of the contrast (points, width).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.fem.compiled import indefinite_cholesky
from pdeinv.fem.complex_system import WaveSystem
from pdeinv.fem.guarded_tiles import Guarded, GuardedTiles
from pdeinv.fem.high_order import CellRule
from pdeinv.fem.surroundings import Inner, inner_part
from pdeinv.kernels.sparse import Sparse
from pdeinv.kernels.tiles import empty
from pdeinv.typing import Array

__all__ = ["PointTiles", "Wave", "WaveTiles", "each_wave", "inner_of", "parts_of"]


def parts_of(numbers: Any) -> Array:
    """Complex numbers (...) as parts (..., 2, 1), the same in every lane."""
    return np.stack([numbers.real, numbers.imag], axis=-1)[..., None]


def each_wave(waves: int, work: Callable[[int], Array]) -> Array:
    """What ``work`` gives for each wave, (n, 2, width), side by side: (n, waves, 2, width)."""
    first = work(0)
    found = empty(len(first), waves, *first.shape[1:])
    found[:, 0] = first
    for k in range(1, waves):
        found[:, k] = work(k)
    return found


def inner_of(system: WaveSystem) -> Inner:
    """The degrees of freedom on which the contrast acts, the others eliminated where they can."""
    touched = np.zeros(system.rule.n, dtype=bool)
    touched[system.rule.dofs] = True
    return inner_part(system.fixed, touched, system.held)


class PointTiles:
    """The rule of a contrast on some degrees of freedom.

    Args:
        rule: where the contrast lives.
        inner: the degrees of freedom, with the pattern of matrices between them.

    Attributes:
        weights: of the points, (points, 1).
        values: E with (E u)_p = u(x_p).
        loads: its transpose.
        mass: the entries of ∫ q u v from q.
    """

    def __init__(self, rule: CellRule, inner: Inner) -> None:
        self.weights = rule.weights[:, None]
        matrix = rule.values.real[:, inner.nodes]
        self.values, self.loads = Sparse(matrix), Sparse(matrix.T)
        self.mass = Sparse(_mass(rule, inner))


def _mass(rule: CellRule, inner: Inner) -> sparse.csr_array:
    """T with the lower entries of ∫ q u v = T q."""
    number = np.full(rule.n, -1)
    number[inner.nodes] = np.arange(len(inner.nodes))
    dofs, n = number[rule.dofs], len(inner.nodes)
    row, column = np.broadcast_arrays(dofs[:, :, None], dofs[:, None, :])
    cell, a, b = np.nonzero((row >= column) & (column >= 0))
    entry = np.searchsorted(
        inner.rows * n + inner.columns, row[cell, a, b] * n + column[cell, a, b]
    )
    q = len(rule.phi)
    point = cell[:, None] * q + np.arange(q)
    values = (rule.phi[:, a] * rule.phi[:, b]).T * rule.weights[point]
    at = (np.repeat(entry, q), point.ravel())
    return sparse.csr_array((values.ravel(), at), (len(inner.columns), len(rule.weights)))


@dataclass(frozen=True)
class Wave:
    """The waves of a tile of contrasts.

    At the points they are taken one after the other: all at once they would not fit the cache.

    Attributes:
        of: the equation.
        factor: of A(q).
        incident: u_inc at the points, (points, waves, 2, 1).
        u: u_s, NaN where there is none.
    """

    of: WaveTiles
    factor: Guarded
    incident: Array
    u: Array

    @property
    def waves(self) -> int:
        """Their number."""
        return int(self.u.shape[1])

    def total(self, k: int) -> Array:
        """u_inc + u_s of wave k at the points, (points, 2, width)."""
        return self.incident[:, k] + self.of.points.values.tile(self.u[:, k])

    def tangent(self, dq: Array) -> Array:
        """du with A du = k² ∫ dq t v."""
        scaled = (self.of.scale * dq)[:, None]
        loads = self.of.points.loads
        return self.factor.solve(
            each_wave(self.waves, lambda k: loads.tile(scaled * self.total(k)))
        )

    def gradient(self, adjoint: Array) -> Array:
        """The derivative k² ω Re Σ t λ along q at the points."""
        values = self.of.points.values
        return self.of.scale * self.overlap(lambda k: values.tile(adjoint[:, k]))

    def overlap(self, other: Callable[[int], Array]) -> Array:
        """Re Σ t o over the waves; numpy's own sums depend on the width."""
        found = np.zeros((len(self.incident), self.u.shape[-1]))
        for k in range(self.waves):
            one, total = other(k), self.total(k)
            found += one[:, 0] * total[:, 0]
            found -= one[:, 1] * total[:, 1]
        return found


class WaveTiles:
    """A(q) u = b with A(q) = K − k² ∫ q u v.

    Args:
        system: of one contrast.
        inner: where it acts.
        points: the rule there.
        places: where the degrees of freedom lie, (n, dim).

    Attributes:
        points: as given.
        scale: k² ω at the points, (points, 1).
        solver: factors of tiles.
    """

    def __init__(self, system: WaveSystem, inner: Inner, points: PointTiles, places: Array) -> None:
        self.points, self.scale = points, system.k**2 * points.weights
        cholesky = indefinite_cholesky(inner.starts, inner.columns, places[inner.nodes], inner.edge)
        self.solver = GuardedTiles(cholesky, inner.rows, inner.columns)
        self._fixed, self._k2 = parts_of(inner.entries), system.k**2

    def bytes(self, width: int, waves: int) -> int:
        """What factor and waves of a tile hold."""
        return self.solver.bytes(width) + 16 * width * waves * self.points.values.shape[1]

    def solved(self, q: Array, incident: Array) -> Wave:
        """u_s of A(q) u_s = k² ∫ q u_inc v."""
        entries = np.repeat(self._fixed, q.shape[-1], axis=-1)
        entries[:, 0] -= self._k2 * self.points.mass.tile(q)
        scaled = (self.scale * q)[:, None]
        loads = self.points.loads
        load = each_wave(incident.shape[1], lambda k: loads.tile(scaled * incident[:, k]))
        factor, u = self.solver.factor_and_solve(entries, load)
        return Wave(self, factor, incident, u)
