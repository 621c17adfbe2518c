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
    def of(cls, sensors: Sensors, axes: tuple[str, ...] = ()) -> Gather:
        """An axis for each coordinate that has several values, in their order; of two, one channel.

        Places that fill no lattice, such as those on the sides of a square, are one axis together:
        the last, in the order that they have. Of more than three axes the first are one together.
        Data that lie apart even so, or of which several have the same coordinates, are one row in
        the order that they have.

        Args:
            sensors: coordinates of the data.
            axes: the coordinates of the domain, which say where a datum is from.
        """
        for columns in (_apart(sensors), _joined(sensors, axes)):
            found = _filled([c for c in columns if c.max() > 0])
            if found is not None:
                return found
        size = len(next(iter(sensors.values())))
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


def _apart(sensors: Sensors) -> list[Index]:
    """For each coordinate the number of every datum's value among all that there are."""
    return [np.unique(np.asarray(v), return_inverse=True)[1].ravel() for v in sensors.values()]


def _joined(sensors: Sensors, axes: tuple[str, ...]) -> list[Index]:
    """The same with places numbered as they first come, behind the other coordinates."""
    there = [np.asarray(v) for c, v in sensors.items() if c in axes]
    if len(there) < 2:
        return []
    _, first, own = np.unique(np.stack(there), axis=1, return_index=True, return_inverse=True)
    rest = {c: v for c, v in sensors.items() if c not in axes}
    return [*_apart(rest), np.argsort(np.argsort(first))[own.ravel()]]


def _filled(columns: list[Index]) -> Gather | None:
    """The array of data with these numbers along its axes; None where it were mostly empty."""
    lengths = [int(c.max()) + 1 for c in columns]
    if not columns or prod(lengths) > LARGEST * len(columns[0]):
        return None
    place = np.asarray(np.ravel_multi_index(columns, lengths), dtype=np.intp)
    if len(np.unique(place)) < len(place):
        return None
    whole = (1, 1, *lengths)
    return Gather(place, (prod(whole[:-2]), whole[-2], whole[-1]))
