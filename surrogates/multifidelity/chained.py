"""The chain rule through a coarse model and its discrepancy, at one point and at several rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdeinv.model.forward import Linearization, RowsLinearization
from pdeinv.typing import Array

from .discrepancy import Discrepancy, DiscrepancyPoint

__all__ = ["ChainedRows", "chained", "sound"]


def chained(coarse: Linearization, d: DiscrepancyPoint) -> Linearization:
    """c(xi) + D(xi, c(xi)) at one xi."""

    def jvp(dxi: Array) -> Array:
        dc = coarse.jvp(dxi)
        return np.asarray(dc + d.jvp(dxi, dc))

    def vjp(w: Array) -> Array:
        to_xi, to_coarse = d.vjp(w)
        return np.asarray(to_xi + coarse.vjp(w + to_coarse))

    return Linearization(coarse.value + d.value, jvp, vjp)


def sound(n: int, failures: Mapping[int, str]) -> slice | Array:
    """Which of ``n`` rows have not failed; all of them are no copy."""
    if not failures:
        return slice(None)
    return np.array([i for i in range(n) if i not in failures], dtype=np.intp)


@dataclass(frozen=True)
class ChainedRows:
    """The same at several xi.

    Attributes:
        coarse: c at all rows.
        discrepancy: D.
        xis: shape (n, dim).
        good: the rows whose coarse solve did not fail.
        point: D at these.
    """

    coarse: RowsLinearization
    discrepancy: Discrepancy
    xis: Array
    good: slice | Array
    point: DiscrepancyPoint

    @classmethod
    def at(cls, coarse: RowsLinearization, discrepancy: Discrepancy, xis: Array) -> ChainedRows:
        """D at the rows of ``xis``, where c was linearized."""
        good = sound(len(xis), coarse.failures)
        point = discrepancy.linearize_rows(xis[good], coarse.values[good])
        return cls(coarse, discrepancy, xis, good, point)

    def linearization(self) -> RowsLinearization:
        """As what a model of rows gives."""
        values = self.coarse.values.copy()
        values[self.good] += self.point.value
        return RowsLinearization(values, self.coarse.failures, self._jvp, self._vjp, self._at)

    def _jvp(self, dxis: Array) -> Array:
        dcs, good = self.coarse.jvp(dxis), self.good
        out = dcs.copy()
        out[good] += self.point.jvp(dxis[good], dcs[good])
        return out

    def _vjp(self, ws: Array) -> Array:
        to_coarse, good = ws.copy(), self.good
        to_xi, back = self.point.vjp(ws[good])
        to_coarse[good] += back
        out = np.array(self.coarse.vjp(to_coarse))
        out[good] += to_xi
        return out

    def _at(self, i: int) -> Linearization:
        one = self.coarse.at(i)
        return chained(one, self.discrepancy.linearize(self.xis[i], one.value))
