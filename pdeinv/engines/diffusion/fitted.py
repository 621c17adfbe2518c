"""How wide the fitted data are at a coupling, and how wide they would be at none.

The variable on the side of the likelihood has the prior smoothed by the coupling r: its fitted data
are as wide as a + b r² for small r, so that two couplings tell the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["FEWEST", "Sums", "width_ratio"]

FEWEST = 200
"""Fitted data sets that a width is taken from at least."""


@dataclass(frozen=True)
class Sums:
    """Sums over fitted data sets, in standard deviations of the noise from the data.

    Attributes:
        n: how many.
        first: Σ d, shape (n_d,).
        second: Σ d², shape (n_d,).
    """

    n: int
    first: Array
    second: Array

    @classmethod
    def none(cls, n_data: int) -> Sums:
        """Of no data set."""
        return cls(0, np.zeros(n_data), np.zeros(n_data))

    def plus(self, off: Array) -> Sums:
        """With further data sets, shape (n, n_d)."""
        first, second = off.sum(axis=0), np.sum(off**2, axis=0)
        return Sums(self.n + len(off), self.first + first, self.second + second)

    @property
    def variance(self) -> float:
        """The mean variance of a datum."""
        return float(np.mean(self.second / self.n - (self.first / self.n) ** 2))

    @classmethod
    def joined(cls, parts: Sequence[Sums]) -> Sums:
        """Those of several chains together."""
        first = np.sum([p.first for p in parts], axis=0)
        return cls(sum(p.n for p in parts), first, np.sum([p.second for p in parts], axis=0))


def width_ratio(wide: Sums, narrow: Sums) -> float | None:
    """The sd of fitted data over its limit at coupling 0; None where no spread is left there.

    Args:
        wide: at twice the coupling.
        narrow: at the coupling.
    """
    here, twice = narrow.variance, wide.variance
    limit = here - (twice - here) / 3
    return float(np.sqrt(here / limit)) if limit > 0 else None
