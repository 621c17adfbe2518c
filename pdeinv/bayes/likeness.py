"""How alike data are to those that were expected, by rank, so that no law has to be known.

Of n expected data and the ones in question, all are equally likely to be the oddest where they are
of one law, whatever it is (conformal prediction; Vovk, Gammerman and Shafer 2005).
"""

from __future__ import annotations

import math

import numpy as np

from pdeinv.typing import Array

__all__ = ["UNLIKE", "distances", "informed", "likeness", "share_as_odd", "share_in_words"]

UNLIKE = 0.05
"""The share of expected data as odd as these below which they count as unlike them."""

MODES = 32
"""Directions in which data are compared, at most, and no more than a third of those expected."""

SMALL = 1e-12
"""Directions whose variance is smaller than that of the first by this are rounding."""


def share_as_odd(oddities: Array, found: Array) -> Array:
    """(1 + number of ``oddities`` (n,) at or above) / (1 + n), for each of ``found`` (...)."""
    above = len(oddities) - np.searchsorted(np.sort(oddities), found)
    return np.asarray((1.0 + above) / (1.0 + len(oddities)), dtype=np.float64)


def distances(rows: Array, modes: int = MODES) -> Array:
    """Mahalanobis distances, squared over n - 1, of rows (n, k) to their mean in leading modes.

    Mean and modes are those of the rows themselves, so that no row is told apart.

    Args:
        rows: all of them.
        modes: how many, at most.
    """
    off = rows - rows.mean(axis=0)
    variance, at = np.linalg.eigh(off @ off.T)
    most = max(1, min(modes, MODES, len(rows) // 3))
    kept = variance[-most:] > SMALL * max(float(variance[-1]), 1e-300)
    return np.asarray(np.sum(at[:, -most:][:, kept] ** 2, axis=1))


def likeness(data: Array, expected: Array, modes: int = MODES) -> float:
    """The share of expected data that are as far from their middle as these, or as near.

    Both count: fields that are too smooth make data that are too near. The smaller of both shares
    is doubled, so that it is below p for a share of at most p of data of the same law.

    Args:
        data: shape (k,), in units of the noise.
        expected: shape (n, k).
        modes: in how many directions they are compared: those in which nothing but noise is
            expected hide the others.
    """
    found = distances(np.concatenate([expected, data[None]]), modes)
    far = share_as_odd(found[:-1], found[-1])
    near = share_as_odd(-found[:-1], -found[-1])
    return min(1.0, 2 * float(min(far, near)))


def informed(clean: Array) -> int:
    """In how many directions predictions (n, k), in units of their noise, vary more than that."""
    off = clean - clean.mean(axis=0)
    variance = np.linalg.eigvalsh(off @ off.T) / max(1, len(clean) - 1)
    return int(np.sum(variance > 1))


def share_in_words(share: float) -> str:
    """What share of n expected data are as odd: ``share`` is (1 + their number)/(1 + n).

    Of a small one, a bound that holds for any n: at 1/(1 + n) there are none.
    """
    if share >= UNLIKE:
        return f"{share:.2g}"
    return f"fewer than 1 in {math.floor(1 / share + 1e-9) - 1}"
