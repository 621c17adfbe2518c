"""Sums over many pairs of vectors of the derivative of leftᵀ A right along the entries of A."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import Any

import numpy as np

from pdeinv.kernels.build import available
from pdeinv.kernels.symmetric import Symmetric
from pdeinv.typing import Array

__all__ = ["pair_products", "summed_pairs"]

_BLOCK = 16
"""Pairs at a time: one pass over the pattern serves them, and they stay in the cache."""


def summed_pairs(n: int, rows: Any, columns: Any, pairs: Iterable[tuple[Array, Array]]) -> Array:
    """Σ left_i right_j + left_j right_i, the second off the diagonal, for entries of the pattern.

    Args:
        n: rows of A, symmetric.
        rows: i of each entry of the lower triangle.
        columns: j of each.
        pairs: left and right, each of shape (n,).
    """
    if not available():
        return _by_numpy(rows, columns, pairs)
    kernel, total = Symmetric(n, rows, columns), np.zeros(len(rows))
    for some in batched(pairs, _BLOCK):
        left, right = (
            np.ascontiguousarray(np.stack(s).T)[..., None] for s in zip(*some, strict=True)
        )
        total += kernel.pairs(left, right)[:, 0]
    return total


def _by_numpy(rows: Any, columns: Any, pairs: Iterable[tuple[Array, Array]]) -> Array:
    total = np.zeros(len(rows))
    for left, right in pairs:
        total += pair_products(rows, columns, left, right)
    return total


def pair_products(rows: Any, columns: Any, left: Array, right: Array) -> Array:
    """left_i right_j + left_j right_i, the second off the diagonal, for one pair of (n,)."""
    found = left[rows] * right[columns]
    found += (rows != columns) * (left[columns] * right[rows])
    return np.asarray(found)
