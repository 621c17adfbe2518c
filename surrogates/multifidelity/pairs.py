"""Solves of a coarse and a fine model at the same points, and how much each pair counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Pairs", "relevance"]

MIN_PAIRS = 10


@dataclass(frozen=True)
class Pairs:
    """Solved pairs to learn from.

    Attributes:
        xi: shape (n, dim).
        coarse: coarse data, shape (n, n_obs).
        fine: fine data, shape (n, n_obs).
        noise_std: σ, shape (n_obs,), the scale of all errors.
        variance: how much less a sample counts than the best ones, shape (n,), at least 1.
    """

    xi: Array
    coarse: Array
    fine: Array
    noise_std: Array
    variance: Array

    @property
    def size(self) -> int:
        """The number of pairs."""
        return len(self.xi)

    def rows(self, chosen: Any) -> Pairs:
        """Some of the pairs, by row numbers or a mask."""
        xi, coarse, fine = (a[chosen] for a in (self.xi, self.coarse, self.fine))
        return Pairs(xi, coarse, fine, self.noise_std, self.variance[chosen])

    def chosen(self, most: int, seed: int) -> Pairs:
        """Finite pairs at different points, at most ``most`` of them, in order.

        Raises:
            DataSchemaError: fewer than 10.
        """
        finite = np.isfinite(self.coarse).all(axis=1) & np.isfinite(self.fine).all(axis=1)
        _, first = np.unique(self.xi, axis=0, return_index=True)
        rows = np.sort(first[finite[first]])
        if len(rows) < MIN_PAIRS:
            raise DataSchemaError(
                f"a discrepancy needs at least {MIN_PAIRS} different solved pairs, got "
                f"{len(rows)}; generate more samples"
            )
        if len(rows) > most:
            rows = np.sort(stream(seed, "subset").permutation(rows)[:most])
        return self.rows(rows)


def relevance(misfit: Array) -> Array:
    """Noise variances that let samples count less, the worse they explain the data.

    A sample whose misfit Φ is k times that of the better half (the best 100 at most) may be missed
    by k times as much: what a surrogate posterior needs is accuracy where Φ is small, while far
    samples still say that they are far.

    Args:
        misfit: Φ of the fine data of each sample, shape (n,).
    """
    finite = misfit[np.isfinite(misfit)]
    few = np.sort(finite)[: max(1, min(100, len(finite) // 2))]
    ratio = np.where(np.isfinite(misfit), misfit, np.inf) / max(float(few[-1]), 1e-300)
    return np.asarray(np.clip(ratio, 1.0, 1e4) ** 2)
