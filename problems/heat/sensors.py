"""Sensors in space and time as a linear map of the states of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.nodal import NodalSpace
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import check_times, points_of
from pdeinv.typing import Array

__all__ = ["TimeSensors"]


@dataclass(frozen=True)
class TimeSensors:
    """d_k = u(place k, t_k), linear in time between the levels beside t_k.

    Attributes:
        evaluation: B from degrees of freedom to places, CSR.
        place: row of B of each datum, shape (n_d,).
        levels: time levels that are read, increasing.
        low: index into ``levels`` of the level at or before each datum.
        high: the same at or after it.
        part: where between the two the datum is, shape (n_d,).
    """

    evaluation: Any
    place: NDArray[np.int64]
    levels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    part: Array

    @classmethod
    def on(cls, space: NodalSpace, times: Array, sensors: Sensors) -> TimeSensors:
        """The sensors on one space and one set of time levels.

        Raises:
            DataSchemaError: a sensor lies outside the domain or the run.
        """
        check_times(sensors["t"], float(times[-1]))
        points = points_of(sensors, "xyz"[: space.mesh.dim])
        places, first, row = np.unique(points, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        evaluation = space.evaluation(places[order])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        dt = float(times[1])
        exact = np.clip(sensors["t"] / dt, 0, len(times) - 1)
        near = np.rint(exact)
        exact = np.where(np.abs(exact - near) < 1e-9 * len(times), near, exact)
        low = np.floor(exact).astype(np.int64)
        high = np.ceil(exact).astype(np.int64)
        levels = np.unique(np.concatenate([low, high]))
        where = (np.searchsorted(levels, low), np.searchsorted(levels, high))
        return cls(evaluation, rank[row.ravel()], levels, *where, exact - low)

    @property
    def last(self) -> int:
        """The last time level that is read."""
        return int(self.levels[-1])

    def data(self, states: Any) -> Array:
        """The data of a run, an iterable of (n, u^n) up to :attr:`last`."""
        table = np.zeros((len(self.levels), self.evaluation.shape[0]))
        rows = {int(n): k for k, n in enumerate(self.levels)}
        for n, u in states:
            if n in rows:
                table[rows[n]] = self.evaluation @ u
        before, after = table[self.low, self.place], table[self.high, self.place]
        return np.asarray((1 - self.part) * before + self.part * after)

    def source(self, w: Array) -> Any:
        """The adjoint: w of shape (n_d,) to n ↦ ∂(w·d)/∂u^n."""
        table = np.zeros((len(self.levels), self.evaluation.shape[0]))
        np.add.at(table, (self.low, self.place), (1 - self.part) * w)
        np.add.at(table, (self.high, self.place), self.part * w)
        rows = {int(n): k for k, n in enumerate(self.levels)}
        back = self.evaluation.T.tocsr()

        def forcing(n: int) -> Array | None:
            return np.asarray(back @ table[rows[n]]) if n in rows else None

        return forcing
