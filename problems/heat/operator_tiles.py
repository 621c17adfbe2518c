"""Unknowns of the operator for a tile: the classes of :mod:`.coefficients` by lanes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pdeinv.fem.marching import Forcing
from pdeinv.fem.marching_tiles import Columns, OwnOperators
from pdeinv.kernels.lanewise import lane_gram
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

from .coefficients import Conductivity, HeatTransfer
from .entries import AdjointStep, Change, plus
from .entry_tiles import EntryTiles

__all__ = ["ConductivityTiles", "TransferTiles"]


class ConductivityTiles(EntryTiles):
    """κ = P m: entries T P m of the lower triangle, by one sparse product.

    Args:
        entry: of one unknown.
        operators: what is made of the entries.
    """

    operator = True
    loads = False

    def __init__(self, entry: Conductivity, operators: OwnOperators) -> None:
        super().__init__(entry)
        system, self._operators = entry.discretisation.system, operators
        lower = entry.tensor
        self._ahead, self._back = Sparse(lower), Sparse(lower.T)
        robin = 0.0 if entry.robin is None else system.lower_of(entry.robin)[:, None]
        self._robin = robin

    def stiffness(self, m: Array) -> Array:
        """The entries of K(P m) + R."""
        return np.asarray(self._ahead.tile(m) + self._robin)

    def change(self, _m: Array, dm: Array) -> Change:
        """dK = K(P dm)."""
        return Change(stiffness=self._operators.matrix(self._ahead.tile(dm)))

    def gather(self, _m: Array, steps: Iterable[AdjointStep]) -> Array:
        """-(T P)^T of the products of λ^n and v^n on the pattern."""
        total: Array | None = None
        for step in steps:
            if step.average is not None:
                found = self._operators.pattern.pairs(step.adjoint, step.average)
                total = found if total is None else np.add(total, found, out=total)
        assert total is not None
        return -self._back.tile(total)


class TransferTiles(EntryTiles):
    """h of one Robin side: K = K_known + h R_1 and F = F_known + h ∫ u_ambient v.

    Args:
        entry: of one unknown.
        operators: what is made of the entries.
    """

    operator = True

    def __init__(self, entry: HeatTransfer, operators: OwnOperators) -> None:
        super().__init__(entry)
        d, self._operators = entry.discretisation, operators
        system = d.system
        known = system.stiffness_of(d.known_conductivity).data
        others = 0.0 if entry.others is None else entry.others
        self._base = system.lower_of(known + others)[:, None]
        self._unit = system.lower_of(entry.unit)[:, None]
        self._unit_matrix = Sparse(entry.unit_matrix)
        self._ambient = Columns(entry.ambient_load)

    def stiffness(self, m: Array) -> Array:
        """The entries of K + h R_1."""
        return np.asarray(self._base + self._unit * m)

    def _times_ambient(self, h: Array) -> Forcing:
        def forcing(n: int) -> Array | None:
            load = self._ambient(n)
            return None if load is None else load * h

        return forcing

    def load(self, m: Array) -> Forcing:
        """The known load and h ∫ u_ambient v."""
        return plus(self._known, self._times_ambient(m))

    def change(self, _m: Array, dm: Array) -> Change:
        """dh R_1 and dh ∫ u_ambient v."""
        stiffness = self._operators.matrix(self._unit * dm)
        return Change(load=self._times_ambient(dm), stiffness=stiffness)

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """Σ_n μ^n·∫ u_ambient v - λ^n·(R_1 v^n)."""
        total: Array = np.zeros_like(m)
        for step in steps:
            load = self._ambient(step.n)
            if load is not None and step.load_adjoint is not None:
                total += _dot(step.load_adjoint, np.broadcast_to(load, step.adjoint.shape))
            if step.average is not None:
                total -= _dot(step.adjoint, self._unit_matrix.tile(step.average))
        return total


def _dot(a: Array, b: Array) -> Array:
    """Inner products (1, width) of the lanes."""
    return np.asarray(lane_gram(a[:, None], b[:, None])[0])
