"""The mask that overlaps most with a region that is known by draws alone.

The overlap of a set A with a region M is 2 |A ∩ M| / (|A| + |M|) (Dice 1945), 1 where both are
empty. Among sets of k points the mean over draws M_j is largest for the k points of largest
Σ_j [i in M_j] / (k + |M_j|): the best set is found by trying k. No estimate overlaps more, in the
mean over the posterior. Where sizes differ little these are the points whose probability to be in
the region is above half of that mean overlap (Lipton, Elkan and Naryanaswamy 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

__all__ = ["BestMask", "best_mask", "overlap"]

_TRIED = 33
"""Sizes that are tried at once, of which the best ones are tried again more closely."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BestMask:
    """The mask, and what it is worth.

    Attributes:
        inside: which points belong to it, (n,).
        expected: the mean of its overlap with the draws.
    """

    inside: Mask
    expected: float


def overlap(a: Mask, b: Mask) -> float:
    """2 |A ∩ B| / (|A| + |B|), 1 where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def best_mask(draws: Mask) -> BestMask:
    """The set of points with the largest mean overlap with draws of a region.

    Args:
        draws: which points belong to each, (s, n).
    """
    held = np.flatnonzero(draws.any(axis=0))
    inside = np.zeros(draws.shape[1], dtype=np.bool_)
    sizes = draws.sum(axis=1).astype(np.float64)
    best = float(np.mean(sizes == 0))
    own = np.ascontiguousarray(draws[:, held].T, dtype=np.float64)
    for k in _sizes(own, sizes):
        points, value = _best_of(own, sizes, k)
        if value > best:
            best = value
            inside[:] = False
            inside[held[points]] = True
    return BestMask(inside, best)


def _best_of(own: Array, sizes: Array, k: int) -> tuple[NDArray[np.intp], float]:
    """The best k points, and the mean overlap of these."""
    score = own @ (2 / (k + sizes)) / len(sizes)
    points = np.argpartition(score, len(score) - k)[len(score) - k :]
    return points, float(score[points].sum())


def _sizes(own: Array, sizes: Array) -> list[int]:
    """Sizes worth trying: some between 1 and all, then those about the best of them."""
    low, high = 1, len(own)
    found: list[int] = []
    while high >= low:
        found = np.unique(np.linspace(low, high, _TRIED).round().astype(int)).tolist()
        if len(found) == high - low + 1:
            break
        at = int(np.argmax([_best_of(own, sizes, k)[1] for k in found]))
        low, high = found[max(at - 1, 0)], found[min(at + 1, len(found) - 1)]
    return found
