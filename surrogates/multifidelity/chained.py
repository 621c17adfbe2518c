"""The chain rule through a coarse model and its discrepancy, at one point and at several rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdeinv.model.forward import Linearization, RowsLinearization
from pdeinv.typing import Array

from .discrepancy import DiscrepancyPoint

__all__ = ["ChainedRows", "chained"]


def chained(coarse: Linearization, d: DiscrepancyPoint) -> Linearization:
    """c(xi) + D(xi, c(xi)) at one xi."""

    def jvp(dxi: Array) -> Array:
        dc = coarse.jvp(dxi)
        return np.asarray(dc + d.jvp(dxi, dc))

    def vjp(w: Array) -> Array:
        to_xi, to_coarse = d.vjp(w)
        return np.asarray(to_xi + coarse.vjp(w + to_coarse))

    return Linearization(coarse.value + d.value, jvp, vjp)


@dataclass(frozen=True)
class ChainedRows:
    """The same at several xi, D row by row.

    Attributes:
        coarse: c at all rows.
        points: D at each; None where the coarse solve failed.
    """

    coarse: RowsLinearization
    points: Sequence[DiscrepancyPoint | None]

    def linearization(self) -> RowsLinearization:
        """As what a model of rows gives."""
        values = self.coarse.values.copy()
        for i, d in self._sound():
            values[i] += d.value
        return RowsLinearization(values, self.coarse.failures, self._jvp, self._vjp, self._at)

    def _sound(self) -> list[tuple[int, DiscrepancyPoint]]:
        return [(i, d) for i, d in enumerate(self.points) if d is not None]

    def _jvp(self, dxis: Array) -> Array:
        dcs = self.coarse.jvp(dxis)
        out = dcs.copy()
        for i, d in self._sound():
            out[i] += d.jvp(dxis[i], dcs[i])
        return out

    def _vjp(self, ws: Array) -> Array:
        to_coarse, to_xi = ws.copy(), dict[int, Array]()
        for i, d in self._sound():
            to_xi[i], back = d.vjp(ws[i])
            to_coarse[i] += back
        out = np.array(self.coarse.vjp(to_coarse))
        for i, w in to_xi.items():
            out[i] += w
        return out

    def _at(self, i: int) -> Linearization:
        one, d = self.coarse.at(i), self.points[i]
        assert d is not None
        return chained(one, d)
