"""The rule that fixes signs of eigenvectors, and bases of multiple eigenvalues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.fields.eigen import EQUAL
from pdeinv.typing import Array

__all__ = ["BASIS", "canonical", "reference_functions"]

BASIS = "parity"
"""Names the rule. Unfinished runs keep it, since their xi mean other fields under another rule."""


def reference_functions(points: Array, count: int = 8) -> Array:
    """Smooth functions without any symmetry of a box, shape (n, count)."""
    low, high = points.min(axis=0), points.max(axis=0)
    unit = (points - low) / np.where(high > low, high - low, 1.0)
    slopes = np.sqrt(np.array([2.0, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]))
    picks = np.arange(count)[:, None] * 5 + np.arange(points.shape[1]) * 7
    return np.asarray(np.exp(unit @ (slopes[picks % len(slopes)] - 3.0).T))


def canonical(values: Array, vectors: Array, reference: Array) -> Array:
    """V Λ^(1/2) with signs and bases of multiple eigenvalues that depend on ``reference`` alone.

    A function of a simple eigenvalue gets a positive product with the first of ``reference``.
    Within each group of equal eigenvalues the columns are rotated by the Q of V^T R = Q T, T with a
    positive diagonal: another orthonormal basis V O gives V O (O^T Q) = V Q again, and the product
    with the transpose stays V Λ V^T.
    """
    signs = np.where(reference[:, 0] @ vectors < 0, -1.0, 1.0)
    root = vectors * (signs * np.sqrt(values))
    for group in _multiple(values):
        seen = reference[:, np.arange(len(group)) % reference.shape[1]]
        q, t = np.linalg.qr((vectors[:, group] * signs[group]).T @ seen)
        root[:, group] = root[:, group] @ (q * np.where(np.diag(t) < 0, -1.0, 1.0))
    return np.asarray(root)


def _multiple(values: Array) -> list[NDArray[np.intp]]:
    """The places of eigenvalues, in falling order, that are equal to a neighbour, in groups."""
    gaps = values[:-1] - values[1:] > EQUAL * values[:-1]
    groups = np.split(np.arange(len(values), dtype=np.intp), np.flatnonzero(gaps) + 1)
    return [group for group in groups if len(group) > 1]
