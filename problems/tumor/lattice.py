"""Points of a regular grid of which some are active: centres of voxels, or their corners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pdeinv.model.multilinear import multilinear
from pdeinv.typing import Array

__all__ = ["Lattice", "overlaps"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Lattice:
    """A grid with its active points, numbered with x fastest.

    Each point stands for a box of the size of the spacing around it.

    Attributes:
        axes: coordinates along x, y, z, equally spaced.
        active: which points are, shape ((nz,) ny, nx).
    """

    axes: tuple[Array, ...]
    active: NDArray[np.bool_]

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.axes)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Along x, y, z."""
        return tuple(float(a[1] - a[0]) for a in self.axes)

    @cached_property
    def index(self) -> tuple[Ints, ...]:
        """Where the active points are along x, y, z, (n,) each."""
        return tuple(np.asarray(i) for i in np.nonzero(self.active)[::-1])

    @property
    def size(self) -> int:
        """The number of active points."""
        return len(self.index[0])

    @cached_property
    def points(self) -> Array:
        """The active points, shape (n, d)."""
        return np.stack([a[i] for a, i in zip(self.axes, self.index, strict=True)], axis=1)

    @cached_property
    def number(self) -> Ints:
        """The number of each point among the active ones, -1 elsewhere, of the shape of them."""
        found = np.full(self.active.shape, -1)
        found[self.active] = np.arange(self.size)
        return found

    @cached_property
    def blocks(self) -> Ints:
        """The points of each cube of neighbours that are all active, (k, 2^d), x fastest."""
        parts = []
        for upper in product((0, 1), repeat=self.dim):
            part = tuple(slice(u, n - 1 + u) for u, n in zip(upper, self.active.shape, strict=True))
            parts.append(self.number[part].ravel())
        whole = np.stack(parts, axis=1)
        return whole[(whole >= 0).all(axis=1)]

    def values_at(self, places: Array) -> Any:
        """B with (B u)_k = u(place k): linear in each coordinate between active points.

        Where only some of the neighbours are active, their weights add up to one; where none is,
        the nearest active point speaks.

        Args:
            places: in the box, shape (k, d).

        Returns:
            CSR of shape (k, n).
        """
        return self._of(multilinear(self.axes, places), places)

    def averages(self, places: Array, edge: float) -> Any:
        """B with (B u)_k the average of u over the active part of a box of that edge."""
        whole = sparse.csr_array(np.ones((len(places), 1)))
        for axis, x in zip(self.axes, places.T, strict=True):
            # the later axis is the slower one
            whole = _rowwise_product(overlaps(axis, x, edge), whole)
        return self._of(whole, places)

    def _of(self, whole: Any, places: Array) -> Any:
        """Weights on all points as averages over the active ones among them."""
        found = sparse.csr_array(whole[:, np.flatnonzero(self.active.ravel())])
        sums = np.asarray(found.sum(axis=1)).ravel()
        lost = np.flatnonzero(sums <= 1e-12)
        if len(lost):
            nearest = cKDTree(self.points).query(places[lost])[1]
            more = (np.ones(len(lost)), (lost, nearest))
            found = sparse.csr_array(found + sparse.csr_array(more, found.shape))
            sums = np.asarray(found.sum(axis=1)).ravel()
        scale: Any = sparse.diags_array(1 / sums)
        return sparse.csr_array(scale @ found)


def overlaps(axis: Array, x: Array, edge: float) -> Any:
    """How much of the box of each point an interval of length ``edge`` around x covers, CSR."""
    half = 0.5 * float(axis[1] - axis[0])
    low = np.maximum(axis - half, x[:, None] - edge / 2)
    high = np.minimum(axis + half, x[:, None] + edge / 2)
    return sparse.csr_array(np.maximum(high - low, 0.0) / edge)


def _rowwise_product(slow: Any, fast: Any) -> Any:
    """All products of entries of the same row, the second factor's column fastest, CSR."""
    counts = np.diff(fast.indptr)
    row = np.repeat(np.arange(slow.shape[0]), np.diff(slow.indptr))
    # each entry of the slow factor meets all those of the fast one in its row
    entry = np.repeat(np.arange(slow.nnz), counts[row])
    begun = np.cumsum(counts[row]) - counts[row]
    other = fast.indptr[row[entry]] + np.arange(len(entry)) - begun[entry]
    column = slow.indices[entry] * fast.shape[1] + fast.indices[other]
    shape = (slow.shape[0], slow.shape[1] * fast.shape[1])
    return sparse.csr_array((slow.data[entry] * fast.data[other], (row[entry], column)), shape)
