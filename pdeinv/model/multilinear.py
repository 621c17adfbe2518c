"""Sparse matrices from values on regular grids of any dimension to values at points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.typing import Array

__all__ = ["cell_choice", "multilinear"]


def _bracket(nodes: Array, values: Array) -> tuple[Any, Array]:
    """The interval of each value and its place in it; values outside count as on the border."""
    left = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    part = (values - nodes[left]) / (nodes[left + 1] - nodes[left])
    return left, np.clip(part, 0.0, 1.0)


def multilinear(axes: Sequence[Array], points: Array) -> Any:
    """P with (P m)(p) linear in each coordinate between node values m, the first axis fastest.

    Args:
        axes: increasing node coordinates along x, y, z.
        points: shape (n, d).

    Returns:
        CSR matrix of shape (n, product of the axes' lengths), rows non-negative with sum one.
    """
    found = [_bracket(a, points[:, i]) for i, a in enumerate(axes)]
    strides = np.concatenate([[1], np.cumprod([len(a) for a in axes])])
    columns, weights = [], []
    for upper in product((0, 1), repeat=len(axes)):
        picks = list(zip(found, upper, strides, strict=False))
        columns.append(sum((left + u) * s for (left, _), u, s in picks))
        weights.append(np.prod([part if u else 1 - part for (_, part), u, _ in picks], axis=0))
    rows = np.tile(np.arange(len(points)), len(columns))
    entries = (np.concatenate(weights), (rows, np.concatenate(columns)))
    matrix = sparse.csr_array(entries, (len(points), int(strides[-1])))
    matrix.eliminate_zeros()
    return matrix


def cell_choice(edges: Sequence[Array], points: Array) -> Any:
    """P with (P m)(p) the value of the grid cell that holds p; cells run with x fastest.

    Args:
        edges: increasing edges of the cells along x, y, z.
        points: shape (n, d).
    """
    strides = np.concatenate([[1], np.cumprod([len(e) - 1 for e in edges])])
    found = [_bracket(e, points[:, i])[0] for i, e in enumerate(edges)]
    columns = sum(k * s for k, s in zip(found, strides, strict=False))
    n = len(points)
    shape = (n, int(strides[-1]))
    return sparse.csr_array((np.ones(n), (np.arange(n), np.asarray(columns))), shape)
