"""Data as an array that convolutions can read: experiments, places and times along its axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from ..common.split import Index

__all__ = ["Gather"]

LARGEST = 2
"""Cells of the array per datum at most; more scattered data are read as a row."""


@dataclass(frozen=True)
class Gather:
    """Where each datum stands in an array; cells without a datum hold 0.

    Attributes:
        place: flat place of each datum, shape (n_obs,).
        shape: channels, rows, columns.
    """

    place: Index
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, sensors: Sensors) -> Gather:
        """An axis for each coordinate that has several values, in their order; of two, one channel.

        Data of more than three such coordinates, of several data at one place, or whose array
        would be mostly empty (scattered places) are read as one row in the order that they have.
        """
        found = [np.unique(np.asarray(v), return_inverse=True) for v in sensors.values()]
        axes = [(len(values), own) for values, own in found if len(values) > 1]
        size, cells = len(found[0][1]), prod(n for n, _ in axes)
        if axes and len(axes) <= 3 and cells <= LARGEST * size:
            shape = (1, 1, 1, *(n for n, _ in axes))[-3:]
            place = np.ravel_multi_index([own for _, own in axes], [n for n, _ in axes])
            if len(np.unique(place)) == size:
                return cls(np.asarray(place, dtype=np.intp), (shape[0], shape[1], shape[2]))
        return cls(np.arange(size), (1, 1, size))

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        place: Array = np.asarray(self.place, dtype=np.int64)
        return {"place": place, "shape": np.asarray(self.shape, dtype=np.int64)}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Gather:
        """The inverse of :meth:`arrays`."""
        channels, rows, columns = (int(n) for n in a["shape"])
        return cls(np.asarray(a["place"], dtype=np.intp), (channels, rows, columns))
