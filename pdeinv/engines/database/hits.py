"""The simulations that agree best with the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior, cost
from pdeinv.typing import Array

__all__ = ["Hits"]

NARROWEST, WIDEST, ALONE = 0.1, 1.0, 0.5
"""Least and largest spread of hits that a search starts with, and that of a single one."""


@dataclass(frozen=True)
class Hits:
    """Simulations, the best first.

    Attributes:
        number: which simulation each is, whole numbers from 0, shape (k,).
        xi: shape (k, dim).
        score: Φ + R by which it was chosen, shape (k,).
        misfit: Φ of the run's own model there, shape (k,).
        objective: Φ + R of that, shape (k,).
    """

    number: Array
    xi: Array
    score: Array
    misfit: Array
    objective: Array

    @classmethod
    def nothing(cls, dim: int) -> Hits:
        """Before the first simulation."""
        none = np.zeros(0)
        return cls(none, np.zeros((0, dim)), none, none, none)

    @classmethod
    def of(cls, first: int, xi: Array, misfit: Array) -> Hits:
        """Simulations from number ``first`` on, in their order; those that failed are left out."""
        ok = np.flatnonzero(np.isfinite(misfit))
        score = misfit[ok] + cost(xi[ok])
        return cls(first + ok.astype(np.float64), xi[ok], score, misfit[ok], score)

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, chosen: NDArray[np.intp]) -> Hits:
        """Some of them, by their places."""
        return Hits(**{name: values[chosen] for name, values in vars(self).items()})

    def best(self, other: Hits, keep: int) -> Hits:
        """The ``keep`` best of both; the one with the lower number of equals."""
        both = Hits(**{n: np.concatenate([v, getattr(other, n)]) for n, v in vars(self).items()})
        return both.rows(np.lexsort((both.number, both.score))[:keep])

    def solved(self, misfit: Array) -> Hits:
        """The same by the misfits of the run's own model, without those that it cannot solve."""
        ok = np.flatnonzero(np.isfinite(misfit))
        objective = misfit + cost(self.xi)
        found = Hits(self.number, self.xi, self.score, misfit, objective).rows(ok)
        return found.rows(np.lexsort((found.number, found.objective)))

    @property
    def spread(self) -> Array:
        """Root mean squares of the others about the best, within bounds, shape (dim,)."""
        off = self.xi[1:] - self.xi[0]
        if not len(off):
            return np.full(self.xi.shape[1], ALONE)
        return np.clip(np.sqrt(np.mean(off**2, axis=0)), NARROWEST, WIDEST)

    def group(self, prior: Prior) -> xr.Dataset:
        """The hits with their unknowns, as a group of the result file."""
        found = prior.space.unpack(prior.unwhiten(self.xi), ("hit",))
        return found.assign(
            xi=(("hit", "xi_dim"), self.xi),
            simulation=("hit", self.number.astype(int)),
            score=("hit", self.score),
            misfit=("hit", self.misfit),
            objective=("hit", self.objective),
        )
